"""`run.evaluation` against a real monitor that is down meanwhile: nothing is lost, nothing hurts the training."""

import logging
from pathlib import Path
from typing import Any

import pytest

import cusp
from tests.conftest import MonitorProcess


def rows(right: int) -> list[dict[str, Any]]:
    return [
        {"problem_id": f"p{number:02}", "score": number < right, "text": "x" * 30_000, "tokens": 5}
        for number in range(30)
        for _ in range(2)
    ]


def test_scores_of_a_training_arrive_whole_though_the_monitor_was_down(
    monitor_process: MonitorProcess,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("CUSP_URL", monitor_process.url)
    monkeypatch.setenv("CUSP_DIR", str(monitor_process.folder))
    run = cusp.init("p", "n", root=monitor_process.folder / "out")
    asked = [{"problem_id": "p00", "question": "2+2", "gold": 4}]
    with caplog.at_level(logging.WARNING):
        run.evaluation("aime24", rows(10), step=0)
        folder = monitor_process.folder / "out/checkpoint-5"
        folder.mkdir(parents=True)
        (folder / "adapter_model.safetensors").write_bytes(b"x")
        run.evaluation("aime24", rows(20), step=5, preset="mine", problems=asked)
        run.checkpoint(folder, 5)
        run.log({"reward": 1.0}, 5)
        run.evaluation("aime24", [{"problem_id": "p", "score": "right"}], step=5)
        run.evaluation("aime24", step=5)
        run.evaluation("amc23", step=5, pass_at_1=0.5, n=40)
    assert "must be a number from 0 to 1, not 'right'" in caplog.text
    monitor_process.start()
    assert run.finish(drain_s=20)
    found = monitor_process.get(f"/runs/{run.id}/evaluations")["evaluations"]
    assert [(one["step"], one["task"], round(one["pass_at_1"], 3)) for one in found] == [
        (0, "aime24", 0.333),
        (5, "aime24", 0.667),
        (5, "amc23", 0.5),
    ]
    assert {(one["source"], one["author"]) for one in found} == {("client", "training")}
    checkpoints = monitor_process.get(f"/runs/{run.id}/checkpoints")["checkpoints"]
    assert [one["checkpoint_id"] for one in found] == [None, *[checkpoints[0]["id"]] * 2]
    assert (found[1]["n_samples"], found[1]["preset"]) == (60, "mine")
    differing = monitor_process.get(f"/runs/{run.id}/evaluations/differences", first=5, second=0)
    assert (differing["compared"], differing["first_better"]) == (30, 10)
    assert len(differing["problems"][0]["first"]["samples"][0]["text"]) <= 20_000


def test_a_disabled_run_takes_scores_and_does_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUSP_DIR", str(tmp_path))
    monkeypatch.setenv("CUSP_MODE", "disabled")
    run = cusp.init("p", "n")
    run.evaluation("aime24", rows(1), step=0)
    assert run.finish()
