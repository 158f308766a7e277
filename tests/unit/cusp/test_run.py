"""The client beside a training: never in its way, whatever is there or not."""

import json
import logging
import math
import signal
import threading
from pathlib import Path

import pytest

import cusp
from cusp import checkpoints
from cusp.start import RunInUse


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
    assert checkpoints.verify(run.kept_steps[10]).step == 10
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
