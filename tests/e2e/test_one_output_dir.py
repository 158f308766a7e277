"""Several runs in one folder, with real processes: what a record names is what the run has saved."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cusp.ids import new_id
from tests.conftest import MonitorProcess
from tests.waiting import wait_until

Json = dict[str, Any]
SCRIPT = """
import sys, time, cusp
from pathlib import Path
root, name, steps, pause, keep = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), sys.argv[5]
run = cusp.init(name=name, root=root)
run.hold()
for step in range(1, steps + 1):
    run.log({"reward": 0.5}, step=step)
    if step % 10 == 0:
        path = root / f"checkpoint-{step}"
        path.mkdir(parents=True, exist_ok=True)
        with (path / "adapter_model.safetensors").open("wb") as file:  # in place, as safetensors does
            file.write(f"{name} {step}".encode())
        run.checkpoint(path, step=step)
    time.sleep(pause)
run.settle()
if keep: run.keep([int(keep)])
run.finish(drain_s=20)
print(run.id)
"""


@pytest.fixture
def monitor(monitor_process: MonitorProcess) -> Iterator[MonitorProcess]:
    monitor_process.start()
    yield monitor_process
    monitor_process.stop()


class Box:
    """A training box: a Cusp folder and an output folder of its own."""

    def __init__(self, monitor: MonitorProcess, folder: Path) -> None:
        self.monitor, self.root, self.cusp_dir = monitor, folder / "out", folder / "cusp"
        self.environment = {
            **os.environ, "CUSP_URL": monitor.url, "CUSP_DIR": str(self.cusp_dir),
        }  # fmt: skip

    def start(self, name: str, *, steps: int = 30, pause: float = 0.0, keep: str = "") -> Any:
        return subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(self.root), name, str(steps), str(pause), keep],
            env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def train(self, name: str, **more: Any) -> str:
        return ended(self.start(name, **more))

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "cusp", *arguments],
            env=self.environment, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def checkpoints(self, run_id: str) -> dict[int, Json]:
        found = self.monitor.get(f"/runs/{run_id}/checkpoints")["checkpoints"]
        return {one["step"]: one for one in found}

    def weights(self, path: str) -> str:
        return (self.root / path / "adapter_model.safetensors").read_text()

    def truthful(self, run_id: str, name: str) -> None:
        for step, one in self.checkpoints(run_id).items():
            if one["state"] in ("present", "pinned"):
                assert self.weights(one["path"]) == f"{name} {step}", one


def ended(process: "subprocess.Popen[str]") -> str:
    return told_by(process)[0]


def told_by(process: "subprocess.Popen[str]") -> tuple[str, str]:
    """Return the id of the run that has ended, and what the training was told on stderr."""
    out, error = process.communicate(timeout=100)
    assert process.returncode == 0, error
    assert "Traceback" not in error
    return out.split()[-1], error


@pytest.fixture
def box(monitor: MonitorProcess, tmp_path: Path) -> Box:
    return Box(monitor, tmp_path)


def test_two_runs_at_the_same_time_in_one_folder_never_name_each_others_weights(box: Box) -> None:
    # The second begins later: two saves within a tick of the file system's clock (at_save.py) are not told apart.
    one = box.start("one", pause=0.1, keep="20")
    wait_until((box.root / "checkpoint-10").is_dir, 60)
    two = box.start("two", pause=0.1, keep="20")
    for process, name in ((one, "one"), (two, "two")):
        run_id, said = told_by(process)
        box.truthful(run_id, name)
        found = box.checkpoints(run_id)
        assert {c["state"] for c in found.values()} <= {"present", "pinned", "missing"}
        # The other one may save over a checkpoint before it is hashed: then it is none of this run's.
        left_out = {
            int(step) for step in re.findall(r"could not hold the checkpoint of step (\d+)", said)
        }
        assert found.keys() | left_out == {10, 20, 30}, said


def test_production_stays_what_it_was_when_another_run_is_trained_into_its_folder(box: Box) -> None:
    first = box.train("first", keep="10")
    promoted = box.command("promote", first, "10", "--json")
    assert promoted.returncode == 0, promoted.stderr
    told = json.loads(promoted.stdout)
    assert (told["verified"], told["state"]) == (True, "pinned")
    second = box.train("second", keep="10")
    box.truthful(first, "first")
    box.truthful(second, "second")
    found = box.checkpoints(first)
    assert found[10]["aliases"] == ["production"]
    assert box.weights(found[10]["path"]) == "first 10"


def test_promoting_on_the_box_of_a_run_that_is_over_gives_it_a_place_and_is_verified(
    box: Box, tmp_path: Path
) -> None:
    run_id = box.train("n")
    assert box.checkpoints(run_id)[20]["state"] == "present"
    said = box.command("promote", run_id, "20")
    assert "its files were hashed on the box and are what was registered" in said.stdout
    found = box.checkpoints(run_id)[20]
    assert found["path"].startswith(f"pinned/{run_id}/checkpoint-20-")
    assert (found["state"], found["verified"]) == ("pinned", True)
    pinned = box.command("pin", run_id, "30")
    assert f"step 30 is kept in {box.root}/pinned/{run_id}/checkpoint-30-" in pinned.stdout

    elsewhere = Box(box.monitor, tmp_path / "another box")
    stamp = f"{found['checked_at']}"
    said = elsewhere.command("promote", run_id, "10", "--wait", "0", "--alias", "candidate")
    assert said.returncode == 0, said.stderr
    assert box.checkpoints(run_id)[20]["checked_at"] == stamp, "only its own box can look"


def test_what_was_changed_is_found_by_promote_and_by_check_on_the_box(box: Box) -> None:
    run_id = box.train("n", keep="10")
    kept = box.root / box.checkpoints(run_id)[10]["path"] / "adapter_model.safetensors"
    kept.chmod(0o644)
    kept.write_text("flipped")
    for copy in (box.root / "checkpoint-10", box.root / "held" / run_id / "checkpoint-10"):
        if copy.exists():
            (copy / "adapter_model.safetensors").write_text("flipped")
    refused = box.command("promote", run_id, "10")
    assert refused.returncode == 2
    assert "has changed" in refused.stderr
    assert "Traceback" not in refused.stderr
    found = box.checkpoints(run_id)[10]
    assert (found["state"], found["aliases"]) == ("corrupt", [])
    (box.root / "checkpoint-20" / "adapter_model.safetensors").write_text("flipped")
    (box.root / "held" / run_id / "checkpoint-20" / "adapter_model.safetensors").write_text("no")
    looked = box.command("check", run_id)
    assert looked.returncode == 1, looked.stdout
    assert box.checkpoints(run_id)[20]["state"] in ("missing", "corrupt")
    assert box.checkpoints(run_id)[30]["state"] == "present"


def test_a_worker_on_the_box_verifies_what_was_promoted_elsewhere(box: Box, tmp_path: Path) -> None:
    run_id = box.train("n")
    old = box.checkpoints(run_id)
    import sqlite3

    box.monitor.stop()
    with sqlite3.connect(box.monitor.folder / "cusp.db") as database:
        database.execute("UPDATE checkpoints SET checked_at = checked_at - 86400")
    database.close()
    box.monitor.start()
    elsewhere = Box(box.monitor, tmp_path / "another box")
    said = elsewhere.command("promote", run_id, "20", "--wait", "0.5")
    assert "not verified: the box did not answer" in said.stdout, said.stderr
    assert box.checkpoints(run_id)[20]["verified"] is False
    worker = subprocess.Popen(
        [sys.executable, "-m", "trainer.worker"],
        env=box.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        wait_until(lambda: box.checkpoints(run_id)[20]["verified"], 60, "that the worker looked")
    finally:
        worker.terminate()
        out = worker.communicate(timeout=30)[0]
    assert "Traceback" not in out
    found = box.checkpoints(run_id)[20]
    assert (found["state"], found["sha256"]) == ("pinned", old[20]["sha256"])
    assert box.weights(found["path"]) == "n 20"


def test_a_run_that_nobody_knows_here_is_a_sentence(box: Box) -> None:
    (box.cusp_dir / "runs" / new_id()).mkdir(parents=True)
    looked = box.command("check")
    assert looked.returncode == 0, looked.stderr
    assert "no checkpoint that the monitor knows of lies on this box" in looked.stdout
