"""`cusp train` on several processes (gloo): one a visible device, the same completions a step."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cusp.checkpoints import manifest, paths
from tests.waiting import wait_until

SMALL = [
    "model.sft_steps=10",
    "grpo.max_steps=2",
    "grpo.save_steps=1",
    "grpo.max_completion_length=8",
    "evaluation=null",
]
PRETENDED = """
import torch
torch.cuda.device_count = lambda: 2
"""


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Return one in which nothing is sent and the recorded run lies in the folder."""
    return {
        **os.environ,
        "CUSP_DIR": str(folder),
        "CUSP_MODE": "offline",
        "OMP_NUM_THREADS": "1",
        **more,
    }


def train(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run `cusp train` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "cusp", "train", *arguments],
        env=environment(folder, **more),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def recorded(folder: Path) -> dict[str, object]:
    """Return what the one run in the folder told of itself."""
    (start,) = folder.glob("runs/*/attempts/*/start.json")
    found: dict[str, object] = json.loads(start.read_text())["metadata"]
    return found


def points(folder: Path) -> list[int]:
    """Return the steps that were logged."""
    (spool,) = folder.glob("runs/*/attempts/*/spool-*.jsonl")
    messages = [json.loads(line) for line in spool.read_text().splitlines()]
    return [one["step"] for one in messages if one["kind"] == "point"]


@pytest.mark.timeout(400)
@pytest.mark.parametrize("processes", [1, 2])
def test_a_step_has_48_completions_on_one_and_on_two_processes(
    tmp_path: Path, processes: int
) -> None:
    done = train(tmp_path, "tiny", "--processes", str(processes), *SMALL)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("the training ended at step 2") == 1
    assert recorded(tmp_path)["completions_per_point"] == 48
    assert points(tmp_path) == [1, 2]


@pytest.mark.timeout(400)
@pytest.mark.parametrize("recipe", ["tiny", "tina_open_rs2"])
def test_two_visible_devices_get_a_process_each(tmp_path: Path, recipe: str) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(PRETENDED)
    embedded = ["model=@tiny", "data=@tiny"] if recipe != "tiny" else []
    done = train(tmp_path, recipe, *embedded, *SMALL, PYTHONPATH=str(site))
    assert done.returncode == 0, done.stderr[-3000:]
    assert "training on 2 processes, one for each visible GPU" in done.stdout
    assert recorded(tmp_path)["completions_per_point"] == 48


@pytest.mark.timeout(400)
@pytest.mark.parametrize("processes", [1, 2])
def test_asked_to_end_it_saves_the_step_in_flight_and_says_how_to_go_on(
    tmp_path: Path, processes: int
) -> None:
    said = tmp_path / "said"
    long = [*SMALL, "grpo.max_steps=4000", "grpo.save_steps=3000", "run.progress_every_steps=1"]
    with said.open("wb") as out:
        training = subprocess.Popen(
            [sys.executable, "-m", "cusp", "train", "tiny", "--processes", str(processes), *long],
            env=environment(tmp_path, PYTHONUNBUFFERED="1"),
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(lambda: "step 3 of 4000" in said.read_text() or training.poll() is not None, 200)
        assert training.poll() is None, said.read_text()[-3000:]
        training.send_signal(signal.SIGTERM)
        assert training.wait(60) == 128 + signal.SIGTERM, said.read_text()[-3000:]
    finally:
        training.kill()
        training.wait()
    (root,) = tmp_path.glob("runs/*")
    last = paths.latest(root)
    assert last is not None, said.read_text()
    saved = manifest.verify(last).step
    assert saved >= 3
    assert points(tmp_path)[-1] == saved
    assert f"go on with: cusp train --resume --run-id {root.name}" in said.read_text()
    (spool,) = root.glob("attempts/*/spool-*.jsonl")
    status = [
        one for one in map(json.loads, spool.read_text().splitlines()) if one["kind"] == "status"
    ]
    assert status[-1]["status"] == "failed"
    assert f"asked to end (SIGTERM) at step {saved}" in status[-1]["reason"]
