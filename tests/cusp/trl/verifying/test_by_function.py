"""`evaluate=` answers a verification in a real training; what it returns wrongly costs the training nothing."""

import logging
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Trainer, TrainerCallback, TrainingArguments

import cusp
from cusp.protocol.reading import read_message
from tests.asking import AskingMonitor, AskToVerify, heard
from tests.cusp.trl.test_watch import Line

pytestmark = pytest.mark.filterwarnings("ignore:::(transformers|torch|accelerate)")
Json = dict[str, Any]


@pytest.fixture
def monitor() -> Iterator[AskingMonitor]:
    with AskingMonitor() as monitor:
        yield monitor


class Training:
    """A training of a line with `save_total_limit=1`, which verifies before the steps `at`."""

    def __init__(self, monitor: AskingMonitor, folder: Path) -> None:
        self.monitor, self.folder = monitor, folder
        self.callback: cusp.CuspCallback | None = None

    def run(self) -> cusp.Run | None:
        assert self.callback is not None
        return self.callback.run

    def train(
        self,
        at: dict[int, list[int]],
        *more: TrainerCallback,
        evaluate: Any = None,
        hold: bool = True,
        out: str = "out",
    ) -> Any:
        self.callback = cusp.CuspCallback(evaluate=evaluate, hold=hold)
        trainer = Trainer(
            model=Line(),
            args=TrainingArguments(
                output_dir=str(self.folder / out),
                **{"max_steps": 16, "logging_steps": 1, "save_steps": 4, "save_total_limit": 1},
                **{"use_cpu": True, "disable_tqdm": True, "report_to": []},
            ),
            train_dataset=[{"x": torch.ones(1), "labels": torch.ones(1)}] * 160,
            callbacks=[self.callback, AskToVerify(self.monitor.url, self.run, at), *more],
        )
        trainer.train()
        return trainer


@pytest.fixture
def training(monitor: AskingMonitor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Training:
    monkeypatch.setenv("CUSP_URL", monitor.url)
    monkeypatch.setenv("CUSP_MODE", "online")
    monkeypatch.setenv("CUSP_DIR", str(tmp_path / "cusp"))
    return Training(monitor, tmp_path)


class Scores:
    """A person's function: fewer problems are right the later a checkpoint is. It sets the random state."""

    def __init__(self) -> None:
        self.called: list[str] = []

    def __call__(self, path: Path) -> list[int]:
        assert (path / "model.safetensors").is_file()
        self.called.append(path.name)
        torch.manual_seed(0)
        random.seed(0)
        step = int(path.name.split("-")[1])
        return [int(place >= step) for place in range(20)]


def test_the_function_scores_what_is_saved_then_and_each_earlier_checkpoint_once(
    training: Training, monitor: AskingMonitor, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = Scores()
    training.train({6: [4], 10: [4, 8]}, evaluate=scores)
    first, second = monitor.of("verification")
    assert all(read_message(each).message is not None for each in (first, second))
    assert (first["step"], first["by"], set(first["scores"])) == (6, "function", {"4", "6"})
    assert (second["step"], set(second["scores"])) == (10, {"4", "8", "10"})
    assert sum(second["scores"]["4"]) == 16
    assert (first["completions"], second["completions"]) == (40, 40)
    names = [name.split("-")[1] for name in scores.called]
    assert names[:4] == ["4", "6", "8", "10"], "the saved one, after the earlier ones; step 4 once"
    assert scores.called[0].startswith("checkpoint-4-"), "its pinned copy"
    assert monitor.starts[0]["metadata"]["verifies"] == "function"
    states = [answer["state"] for answer in monitor.answers(first["command_id"])]
    assert states == ["agreed", "done"]
    assert "verification at step 6: 20 problems, now .70 against .80 of step 4" in (
        capsys.readouterr().out
    )


def test_a_function_that_sets_the_random_state_does_not_change_the_training(
    training: Training,
) -> None:
    kept = []
    for out, at in (("plain", {}), ("asked", {6: [4]})):
        training.train(at, evaluate=Scores(), out=out)
        state = torch.load(
            training.folder / out / "checkpoint-16" / "rng_state.pth", weights_only=False
        )
        kept.append((state["python"], state["cpu"].tolist()))
    assert kept[0] == kept[1]


def broken(path: Path) -> list[int]:
    raise RuntimeError("no room on the device")


def leaves(path: Path) -> list[int]:
    sys.exit("a script's way to end")


def shorter(path: Path) -> list[int]:
    return [1] * (20 if "checkpoint-4" in path.name else 19)


@pytest.mark.parametrize(
    ("evaluate", "said"),
    [
        (broken, "failed on checkpoint-4-"),
        (broken, "RuntimeError: no room on the device"),
        (leaves, "SystemExit: a script's way to end"),
        (shorter, "returned scores of 20 for step 4, 19 for step 6"),
        (lambda path: [0, 1.5], "number 1 of its 2 is 1.5"),
        (lambda path: [float("nan")], "number 0 of its 1 is nan"),
        (lambda path: ["right"], "is 'right'"),
        (lambda path: 0.5, "a list with a score for each problem, not 0.5"),
        (lambda path: {"a": 1}, "a list with a score for each problem"),
        (lambda path: None, "a list with a score for each problem, not None"),
        (lambda path: [], "a list with a score for each problem"),
        (lambda path: [1] * 1025, "at most 1,024 are compared"),
        (None, "give CuspCallback or cusp.watch the function evaluate="),
    ],
)
def test_what_cannot_be_verified_is_refused_in_a_sentence_and_the_training_goes_on(
    training: Training,
    monitor: AskingMonitor,
    caplog: pytest.LogCaptureFixture,
    evaluate: Callable[[Path], Any] | None,
    said: str,
) -> None:
    with caplog.at_level(logging.ERROR, "cusp"):
        trainer = training.train({6: [4]}, evaluate=evaluate)
    assert trainer.state.global_step == 16
    assert monitor.of("verification") == []
    (refused,) = [ack for ack in monitor.of("ack") if ack["state"] == "refused"]
    assert said in refused["reason"]


def test_a_checkpoint_that_is_not_there_is_named(
    training: Training, monitor: AskingMonitor
) -> None:
    training.train({6: [3]}, evaluate=Scores())
    (refused,) = [ack for ack in monitor.of("ack") if ack["state"] == "refused"]
    assert refused["reason"] == ("no whole checkpoint of those named is on this box (steps: 3)")


class Keep(TrainerCallback):  # type: ignore[misc]
    """Before a step, the monitor keeps the checkpoints of two others, as for a worker that verifies."""

    def __init__(self, training: Training, step: int, *kept: int) -> None:
        self.training, self.step, self.kept = training, step, kept

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step + 1 == self.step and (run := self.training.run()) is not None:
            for step in self.kept:
                heard(run, self.training.monitor.ask("keep", steps=[step]))


def test_what_the_monitor_has_kept_before_is_kept_again_when_it_lets_go_a_later_one(
    training: Training, monitor: AskingMonitor
) -> None:
    training.train({}, Keep(training, 10, 8, 4), Release(training, 12, [4]))
    run = training.run()
    assert run is not None
    assert run.kept is not None
    assert (run.kept.step, set(run.kept_steps)) == (8, {8})


class Release(TrainerCallback):  # type: ignore[misc]  # transformers ships no types for it
    """Before a step, lets go what was pinned of these steps."""

    def __init__(self, training: Training, step: int, steps: list[int], keep: int = 0) -> None:
        self.training, self.step, self.steps, self.keep = training, step, steps, keep

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step + 1 == self.step and (run := self.training.run()) is not None:
            run.keep([self.keep] if self.keep else [])
            heard(run, self.training.monitor.ask("release", steps=self.steps))


@pytest.mark.parametrize("hold", [True, False])
def test_what_is_verified_outlives_rotation_until_it_is_released(
    training: Training, monitor: AskingMonitor, hold: bool
) -> None:
    pinned: list[list[str]] = []

    class Look(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            time.sleep(0.05)  # as a real step, it takes longer than to pin a checkpoint
            if state.global_step == 13:
                pinned.append(sorted(each.name[:12] for each in folder().iterdir()))

    def folder() -> Path:
        run = training.run()
        assert run is not None
        return training.folder / "out" / "pinned" / run.id

    training.train({6: [4]}, Look(), Release(training, 15, [4]), evaluate=Scores(), hold=hold)
    assert len(monitor.of("verification")) == 1
    assert [path.name for path in (training.folder / "out").glob("checkpoint-*")] == [
        "checkpoint-16"
    ], "rotated"
    assert pinned == [["checkpoint-4"]] or pinned == [["checkpoint-4-"]]
    assert list(folder().iterdir()) == []
    states = [one["state"] for one in monitor.of("checkpoint") if one["step"] == 4]
    assert states[-1] == ("present" if hold else "missing")
    assert "pinned" in states
    run = training.run()
    assert run is not None
    assert run.kept is None, "what was pinned to verify is not what was kept"
    assert 4 not in run.kept_steps
    released = [one for one in monitor.of("ack") if one["state"] == "done"]
    assert len(released) == 2


def test_what_the_training_itself_keeps_is_not_released(
    training: Training, monitor: AskingMonitor
) -> None:
    training.train({6: [4]}, Release(training, 8, [4], keep=4), evaluate=Scores())
    run = training.run()
    assert run is not None
    assert run.kept is not None
    assert (run.kept.step, run.kept.path.is_dir()) == (4, True)
    (refused,) = [ack for ack in monitor.of("ack") if ack["state"] == "refused"]
    assert "step 4 stays kept" in refused["reason"]


def test_a_stop_comes_before_a_verification_which_is_then_refused(
    training: Training, monitor: AskingMonitor
) -> None:
    class Stop(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step == 5 and (run := training.run()) is not None:
                heard(run, monitor.ask("stop", reason="enough"))

    trainer = training.train({6: [4]}, Stop(), evaluate=Scores())
    assert trainer.state.global_step == 6
    (refused,) = [ack for ack in monitor.of("ack") if ack["state"] == "refused"]
    assert refused["reason"] == "the training ended before it could be carried out"
