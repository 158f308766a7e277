"""`cusp demo` end to end with every part real, shortened: the summary holds what it promises."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SHORT = [
    "model.sft_steps=60",
    "grpo.max_steps=20",
    "grpo.save_steps=5",
    "grpo.per_device_train_batch_size=12",
    "evaluation.selection_problems=20",
    "evaluation.report_problems=30",
]


@pytest.mark.timeout(400)
def test_the_demo_reaches_its_summary_and_says_when_there_was_no_transition(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    overrides = [part for value in SHORT for part in ("--set", value)]
    result = subprocess.run(
        [
            *(sys.executable, "-m", "cusp", "demo", "--exit", "--json", str(out)),
            *("--dir", str(tmp_path / "data"), "--port", "0", "--seed", "5", *overrides),
        ],
        env={**os.environ},
        capture_output=True,
        text=True,
        timeout=380,
        check=False,
    )
    assert result.returncode == 3, result.stdout[-3000:] + result.stderr[-3000:]  # no transition
    found = json.loads(out.read_text())
    assert found["max_steps"] == 20
    assert found["stopped_at_step"] is None
    assert found["transition"] is None
    assert found["kept_checkpoint_step"] is None
    assert "No format phase transition was confirmed" in result.stdout
    assert [c["step"] for c in found["candidates"]] == [0, 5, 10, 15, 20]
    for one in found["candidates"]:
        assert 0 <= one["low"] <= one["pass_at_1"] <= one["high"] <= 1
        assert one["n"] == 30
    assert found["comparison"]["reference"]["step"] == 20
    assert found["saved_fraction"] == 0
    assert found["seconds"]["total"] > 0
    assert found["evaluation_error"] is None
    first_lines = (
        "starting the monitor",
        "Dashboard: ",
        "starting the training",
        "base model: training",
    )
    places = [result.stdout.index(line) for line in first_lines]
    assert places == sorted(places)
    assert found["url"].endswith(found["run_id"])


def test_a_summary_that_cannot_be_written_is_said_at_once(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "cusp", "demo", "--exit", "--json", "/proc/none/out.json"],
        env={**os.environ, "CUSP_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 2
    assert "cannot write /proc/none/out.json" in result.stderr
