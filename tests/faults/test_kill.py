"""`kill -9` of trainer and monitor in mid-run: nothing lost, nothing doubled, the stop still works."""

import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from cusp.checkpoints import paths
from cusp.ids import new_id
from cusp.metrics import canonical, finite_only
from monitor.roles.role_series import role_series
from tests.conftest import MonitorProcess

SMALL = [
    "model.sft_steps=10",
    "grpo.max_steps=30",
    "grpo.save_steps=5",
    "grpo.per_device_train_batch_size=12",
    "grpo.max_completion_length=16",
]


class Training:
    """A real training process of one run, which may be killed and taken up again."""

    def __init__(self, monitor: MonitorProcess, folder: Path) -> None:
        self.monitor, self.folder, self.run_id = monitor, folder, new_id()
        self.root = folder / "runs" / self.run_id
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *more: str) -> None:
        with (self.folder / "trainer.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "trainer.train",
                    "tiny",
                    *SMALL,
                    "--run-id",
                    self.run_id,
                    *more,
                ],
                env={**os.environ, "CUSP_URL": self.monitor.url, "CUSP_DIR": str(self.folder)},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def wait_for_checkpoint(self, step: int) -> None:
        assert self.process is not None
        while (paths.step_of(paths.latest(self.root) or Path()) or 0) < step:
            assert self.process.poll() is None, self.log()
            time.sleep(0.1)

    def wait(self) -> None:
        assert self.process is not None
        assert self.process.wait(200) == 0, self.log()

    def log(self) -> str:
        return (self.folder / "trainer.log").read_text()[-3000:]


@pytest.mark.timeout(400)
def test_nothing_is_lost_or_doubled_when_trainer_and_monitor_are_killed(
    monitor_process: MonitorProcess, tmp_path: Path
) -> None:
    monitor_process.start()
    training = Training(monitor_process, tmp_path)
    training.start()
    try:
        training.wait_for_checkpoint(10)
        training.kill()
        training.start("--resume")
        training.wait_for_checkpoint(20)
        monitor_process.kill()
        time.sleep(0.5)
        monitor_process.start()
        training.wait()
    finally:
        training.kill()
    run = monitor_process.get(f"/runs/{training.run_id}")
    assert (run["status"], run["step"], run["attempt_count"]) == ("finished", 30, 2), run
    assert [a["status"] for a in run["attempts"]] == ["lost", "finished"]
    _same_as_trl_logged(monitor_process, training)


def _same_as_trl_logged(monitor: MonitorProcess, training: Training) -> None:
    """Compare what is stored with the history that TRL itself keeps in its last checkpoint."""
    state = json.loads((training.root / "checkpoint-30" / "trainer_state.json").read_text())
    stored: dict[int, dict[str, float]] = {}
    path = f"/runs/{training.run_id}/series"
    series: list[Any] = monitor.get(path)["series"]
    for one in series:
        assert len(set(one["steps"])) == len(one["steps"]), f"{one['name']} doubled"
        for step, value in zip(one["steps"], one["values"], strict=True):
            stored.setdefault(step, {})[one["name"]] = value
    assert sorted(stored) == list(range(1, 31))
    for entry in state["log_history"]:
        logged, _ = finite_only(canonical({k: v for k, v in entry.items() if k != "step"}))
        for name, value in role_series(logged, {}).shown(logged).items():
            same = math.isclose(stored[entry["step"]][name], value, rel_tol=1e-9)
            assert same or name == "step_time_s", (entry["step"], name)
