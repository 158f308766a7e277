"""A real training as its own process: TRL's GRPO with LoRA on the embedded base model, 8 steps."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from cusp.checkpoints import manifest, paths
from cusp.ids import new_id


def run(cusp_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "CUSP_DIR": str(cusp_dir),
        "CUSP_MODE": "offline",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.run(
        [sys.executable, "-m", "trainer.train", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def points(root: Path) -> list[dict[str, Any]]:
    """The points of all attempts, in order."""
    found = []
    for folder in sorted((root / "attempts").iterdir()):
        for file in sorted(folder.glob("*.jsonl")):
            messages = [json.loads(line) for line in file.read_text().splitlines()]
            found += [each for each in messages if each.get("kind") == "point"]
    return found


def test_eight_steps_of_grpo_log_format_accuracy_and_length_and_go_on_after_a_stop(
    tmp_path: Path,
) -> None:
    run_id = new_id()
    root = tmp_path / "runs" / run_id
    common = ["model.sft_steps=60", "grpo.max_steps=12", "grpo.save_steps=4"]
    first = run(tmp_path, "tiny", *common, "run.stop_at_step=8", "--run-id", run_id)
    assert first.returncode == 0, first.stderr
    assert "the training ended at step 8" in first.stdout
    assert "base model: step 60 of 60" in first.stdout
    assert first.stderr.strip() == ""

    found = points(root)
    assert [point["step"] for point in found] == list(range(1, 9))
    for point in found:
        metrics = point["metrics"]
        assert 0 <= metrics["rewards/format_reward"] <= 1
        assert 0 <= metrics["rewards/accuracy_reward"] <= 1
        assert 1 <= metrics["completion_length"] <= 64
        assert {"clipped_ratio", "entropy", "reward", "loss", "grad_norm"} <= metrics.keys()
    assert [path.name for path in paths.found_in(root)] == ["checkpoint-4", "checkpoint-8"]
    for path in paths.found_in(root):
        assert manifest.verify(path).files.keys() >= {"adapter_model.safetensors"}

    second = run(tmp_path, "run.stop_at_step=null", "--resume", "--run-id", run_id)
    assert second.returncode == 0, second.stderr
    assert "going on from checkpoint-8" in second.stdout
    assert [point["step"] for point in points(root)] == list(range(1, 13))
    assert len(list((root / "attempts").iterdir())) == 2
