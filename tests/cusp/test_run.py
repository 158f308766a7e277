"""The client beside a training: never in its way, whatever is there or not."""

import errno
import json
import logging
import math
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, NoReturn

import pytest

import cusp
from cusp.checkpoints import manifest
from cusp.start import InitError, RunInUse


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUSP_DIR", str(tmp_path))
    monkeypatch.setenv("CUSP_MODE", "offline")


def spooled(run: cusp.Run) -> list[dict[str, object]]:
    folder = run.home / "attempts" / run.attempt_id
    files = sorted(folder.glob("spool-*"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def points(run: cusp.Run) -> list[dict[str, object]]:
    return [message for message in spooled(run) if message["kind"] == "point"]


def test_a_logged_step_is_on_disk_under_canonical_names_when_log_returns() -> None:
    run = cusp.init("p", "n")
    run.log({"rewards/format_reward/mean": 0.5, "completions/mean_length": 80}, 3)
    (point,) = points(run)
    assert point["metrics"] == {"rewards/format_reward": 0.5, "completion_length": 80.0}
    run.finish()


def test_none_and_nan_are_left_out_and_counted() -> None:
    run = cusp.init("p", "n")
    run.log({"reward": None, "kl": math.nan, "entropy": 0.5, "note": "text"}, 1)
    (point,) = points(run)
    assert (point["metrics"], point["skipped"]) == ({"entropy": 0.5}, 2)
    run.finish()


def test_values_of_any_number_type_are_taken() -> None:
    import numpy
    import torch

    run = cusp.init("p", "n")
    run.log({"a": torch.tensor(0.5), "b": numpy.float32(2), "c": 3}, 1)
    assert points(run)[0]["metrics"] == {"a": 0.5, "b": 2.0, "c": 3.0}
    run.finish()


@pytest.mark.parametrize("step", ["three", -1, None, 2**60, float("nan")])
def test_a_step_that_is_none_is_a_warning_and_without_one_it_is_the_next(step: object) -> None:
    run = cusp.init("p", "n")
    run.log({"reward": 1.0}, 7)
    run.log({"reward": 1.0}, step)  # type: ignore[arg-type]
    steps = [point["step"] for point in points(run)]
    assert steps == ([7, 8] if step is None else [7])
    run.finish()


def test_a_saved_checkpoint_is_hashed_and_pinned_in_the_background() -> None:
    run = cusp.init("p", "n")
    path = run.root / "checkpoint-10"
    path.mkdir()
    (path / "adapter_model.safetensors").write_bytes(b"x")
    run.checkpoint(path, 10)
    run.keep([10])
    assert run.settle()
    states = [m["state"] for m in spooled(run) if m["kind"] == "checkpoint"]
    assert states == ["present", "pinned"]
    assert manifest.verify(run.kept_steps[10]).step == 10
    run.finish()


def test_a_checkpoint_outside_the_root_or_unknown_is_a_warning_not_an_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = cusp.init("p", "n")
    run.checkpoint("/nowhere/checkpoint-1", 1)
    run.keep([77])
    run.settle()
    assert "could not register" in caplog.text
    assert "step 77" in caplog.text
    run.finish()


def test_the_status_says_how_the_training_ended() -> None:
    with pytest.raises(ZeroDivisionError), cusp.init("p", "n") as run:
        raise ZeroDivisionError("by zero")
    last = spooled(run)[-1]
    assert last["status"] == "failed"
    assert "by zero" in str(last["reason"])


def test_a_second_trainer_with_the_same_run_id_becomes_a_run_of_its_own(
    caplog: pytest.LogCaptureFixture,
) -> None:
    first = cusp.init("p", "n")
    with caplog.at_level(logging.WARNING):
        second = cusp.init("p", "n", run_id=first.id)
    assert second.id != first.id
    assert f"Run {first.id} is being trained by process" in caplog.text
    with pytest.raises(RunInUse, match="stop that one first"):
        cusp.init("p", "n", run_id=first.id, must_own=True)
    first.finish()
    second.finish()


def test_a_finished_run_can_be_taken_up_again_as_a_new_attempt() -> None:
    first = cusp.init("p", "n")
    first.finish()
    again = cusp.init("p", "n", run_id=first.id, must_own=True)
    assert (again.id, again.attempt_id != first.attempt_id) == (first.id, True)
    again.finish()


def test_a_second_ctrl_c_while_a_run_ends_gives_it_back_for_the_next_cell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUSP_MODE", "online")
    monkeypatch.setenv("CUSP_URL", "http://127.0.0.1:9")  # nobody there: it waits for the drain
    run = cusp.init("p", "n")
    run.log({"reward": 1.0}, 1)
    threading.Timer(0.5, signal.raise_signal, [signal.SIGINT]).start()
    with pytest.raises(KeyboardInterrupt):
        run.finish("failed", drain_s=20)
    again = cusp.init("p", "n", run_id=run.id)
    again.finish(drain_s=0.1)
    assert again.id == run.id
    assert spooled(run)[-1]["status"] == "failed"


class Mute:
    """An object that raises whatever it is asked."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class Locked(dict[str, float]):
    def items(self) -> NoReturn:
        raise RuntimeError("changed during iteration")


def test_nothing_that_a_training_logs_raises_into_it() -> None:
    run = cusp.init("p", "n", config={Mute(): 1, "lr": Mute()})  # type: ignore[dict-item]
    run.log({Mute(): 1.0, "reward": 0.5}, 1)  # type: ignore[dict-item]
    run.log(Locked(reward=0.5), 2)
    run.sample(1, Mute(), "text", [0.5])  # type: ignore[arg-type]
    run.sample(1, "text", Mute(), {Mute(): 0.5})  # type: ignore[arg-type, dict-item]
    run.boundary(1, Mute())  # type: ignore[arg-type]
    run.keep(1)
    run.finish("crashed")  # type: ignore[arg-type]
    kinds = [message["kind"] for message in spooled(run)]
    assert kinds == ["status", "point", "sample", "sample", "boundary", "status"]
    assert points(run)[0]["metrics"] == {"<Mute>": 1.0, "reward": 0.5}
    end = spooled(run)[-1]
    assert (end["status"], end["reason"]) == ("failed", "the training ended as crashed")


def test_steps_that_begin_anew_in_a_second_epoch_are_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    run = cusp.init("p", "n")
    for _ in range(3):
        for step in range(3):
            run.log({"reward": 1.0}, step)
    run.finish()
    assert caplog.text.count("count on over epochs") == 1


@pytest.mark.timeout(30)
def test_a_config_whose_objects_refer_to_each_other_is_stored_at_once() -> None:
    parent: dict[str, Any] = {"lr": 1e-6}
    parent["layers"] = [{"parent": parent, "all": [parent] * 3} for _ in range(8)]
    run = cusp.init("p", "n", config=parent)
    run.finish()
    shared: dict[str, Any] = {"width": 8}
    for _ in range(30):
        shared = {"left": shared, "right": shared}
    run = cusp.init("p", "n", config={"tree": shared, "lr": 1e-6})
    run.finish()


def test_a_spawned_child_that_imports_the_script_again_is_no_run(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import multiprocessing, cusp\n"
        "run = cusp.init('p', 'n')\n"
        "def square(x): return x * x\n"
        "if __name__ == '__main__':\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "        pool.map(square, [1, 2])\n"
        "    run.log({'reward': 1.0}, 1)\n"
        "    run.finish()\n"
    )
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "imports the script of its parent's training" in done.stderr
    assert len(list((tmp_path / "runs").iterdir())) == 1


def test_a_disk_that_fills_up_is_said_and_does_not_cost_the_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run = cusp.init("p", "n")
    run.log({"reward": 1.0}, 1)
    write = os.write

    def full(file: int, content: bytes) -> int:
        if list(run.home.rglob("reserve")):  # a disk has room again once something is deleted
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(file, content)

    monkeypatch.setattr(os, "write", full)
    for step in range(2, 9):
        run.log({"reward": 1.0}, step)
    assert caplog.text.count("the disk is full") == 1
    assert not run.finish(), "the monitor cannot hold what was never written"
    assert [point["step"] for point in points(run)] == [1]
    assert spooled(run)[-1]["status"] == "finished"
    assert not list(run.home.rglob("reserve"))


def test_credentials_in_the_config_stay_at_home() -> None:
    run = cusp.init("p", "n", {"hub_token": "hf_secret", "lr": 1e-6, "db": {"password": "x"}})
    start = json.loads((run.home / "attempts" / run.attempt_id / "start.json").read_text())
    assert start["config"] == {"lr": 1e-6, "db": {}}
    run.finish()


def test_disabled_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUSP_MODE", "disabled")
    run = cusp.init("p", "n")
    run.log({"reward": 1.0}, 1)
    assert run.finish()
    assert not list(tmp_path.iterdir())


def test_a_mode_that_means_nothing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUSP_MODE", "onlin")
    with pytest.raises(ValueError, match="CUSP_MODE is 'onlin'; use online, offline or disabled"):
        cusp.init("p", "n")


def test_a_policy_may_be_the_word_of_its_action() -> None:
    run = cusp.init("p", "n", policy="propose")
    (told,) = (run.home / "attempts" / run.attempt_id).glob("start.json")
    assert json.loads(told.read_text())["policy"]["action"] == "propose"
    run.finish()
    with pytest.raises(InitError, match="'stop', 'propose' or 'watch'"):
        cusp.init("p", "n", policy="pause")
