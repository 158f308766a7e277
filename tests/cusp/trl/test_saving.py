"""A suspected training saves more often, within a bound; one without room saves nothing and trains on."""

import logging
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

import cusp
from cusp.checkpoints import paths
from cusp.ids import new_id
from cusp.protocol.messages import Command
from cusp.trl.saving.extra_saves import MOST, ExtraSaves
from tests.small import SMALL
from tests.trainer.test_train import weights_of
from trainer.recipe import Recipe
from trainer.recipe_loader import load_recipe
from trainer.train import train

pytestmark = pytest.mark.filterwarnings("ignore")  # of TRL, transformers and torch, not ours


@pytest.fixture
def small(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Recipe]:
    monkeypatch.setenv("CUSP_DIR", str(tmp_path_factory.getbasetemp() / "cusp"))
    monkeypatch.setenv("CUSP_MODE", "offline")
    return lambda *overrides: load_recipe("tiny", [*SMALL, *overrides])


def arguments(tmp_path: Path, save_steps: int) -> Any:
    return TrainingArguments(output_dir=str(tmp_path), save_steps=save_steps, use_cpu=True)


def wanted(saves: ExtraSaves, run: cusp.Run, args: Any, steps: range) -> list[int]:
    state = TrainerState(max_steps=1_000, save_steps=args.save_steps)
    found = []
    for step in steps:
        state.global_step = step
        control = TrainerControl(should_save=step % args.save_steps == 0)
        if saves.wanted(run, args, state, control):
            found.append(step)
            control.should_save = True
        if control.should_save:
            saves.saved(step)
    return found


def test_a_suspicion_has_a_save_five_times_as_often_within_a_bound(
    tmp_path: Path, small: object
) -> None:
    args = arguments(tmp_path, 50)
    run = cusp.init("p", "n")
    saves = ExtraSaves()
    assert wanted(saves, run, args, range(1, 100)) == []
    run._suspect(80)  # what the monitor's reply does
    assert wanted(saves, run, args, range(100, 151)) == [110, 120, 130, 140]
    run._suspect(None)
    assert wanted(saves, run, args, range(151, 200)) == []
    run._suspect(80)
    assert len(wanted(saves, run, args, range(201, 1_000))) == MOST - 4
    run.finish()


def test_extra_saves_fall_between_two_generations(tmp_path: Path, small: object) -> None:
    args = SimpleNamespace(save_strategy="steps", save_steps=10, steps_per_generation=4)
    args.num_iterations, args.gradient_accumulation_steps = 2, 2
    run = cusp.init("p", "n")
    run._suspect(0)
    assert wanted(ExtraSaves(), run, args, range(1, 10)) == [4, 8]
    args.save_strategy = "no"
    assert wanted(ExtraSaves(), run, args, range(1, 10)) == []
    run.finish()


class SuspectAt(TrainerCallback):  # type: ignore[misc]  # transformers ships no types for it
    """Has the run suspected after a step, as a reply of the monitor does."""

    def __init__(self, runs: list[cusp.Run], step: int) -> None:
        self._runs, self._step = runs, step

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if state.global_step == self._step:
            self._runs[-1]._suspect(1)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[cusp.Run]:
    """The runs that trainings make, as they are made."""
    made: list[cusp.Run] = []
    init = cusp.init

    def noted(*args: Any, **kwargs: Any) -> cusp.Run:
        made.append(init(*args, **kwargs))
        return made[-1]

    monkeypatch.setattr("trainer.train.cusp.init", noted)
    return made


def test_a_training_goes_on_exactly_from_an_extra_save(
    small: Callable[..., Recipe], runs: list[cusp.Run], tmp_path: Path
) -> None:
    recipe = small("grpo.max_steps=6", "grpo.save_steps=6", "grpo.num_iterations=2")
    root, run_id = tmp_path / "suspected", new_id()
    watch = SuspectAt(runs, 2)
    train(recipe, root, run_id=run_id, progress=lambda _: None, callbacks=[watch])
    saved = [path.name for path in paths.found_in(root)]
    assert saved == ["checkpoint-4", "checkpoint-6"], "step 3 is in the middle of a generation"
    again = tmp_path / "again"
    (root / "checkpoint-4").rename(tmp_path / "checkpoint-4")
    train(
        recipe,
        again,
        resume=True,
        start_from=tmp_path / "checkpoint-4",
        progress=lambda _: None,
    )
    assert weights_of(again / "checkpoint-6") == weights_of(root / "checkpoint-6")


def test_a_training_without_room_saves_nothing_and_trains_on(
    small: Callable[..., Recipe],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("CUSP_DISK_BUDGET", "4K")
    root = tmp_path / "full"
    with caplog.at_level(logging.WARNING):
        assert train(small(), root, run_id=new_id(), progress=lambda _: None) == 4
    assert list(root.glob("checkpoint-*")) == []
    said = [r.getMessage() for r in caplog.records if "leaves saves out" in r.getMessage()]
    assert len(said) == 1, "said once"
    assert "CUSP_DISK_BUDGET" in said[0]


@pytest.fixture
def watched(
    tmp_path: Path, small: object
) -> tuple[cusp.CuspCallback, Any, TrainerState, TrainerControl]:
    """A callback in a training that began, and what the trainer calls it with."""
    callback, args = cusp.CuspCallback(), arguments(tmp_path, 2)
    state, control = TrainerState(max_steps=10, save_steps=2), TrainerControl()
    state.is_world_process_zero = True
    callback.on_train_begin(args, state, control)
    return callback, args, state, control


def test_a_stop_that_waits_for_a_save_does_not_wait_where_there_is_no_room(
    watched: tuple[cusp.CuspCallback, Any, TrainerState, TrainerControl],
) -> None:
    callback, args, state, control = watched
    assert callback.run is not None
    stop = Command(command_id=new_id(), kind="stop", mode="after_save")
    callback.run._receive_all([stop])
    state.global_step = 1
    callback.on_step_end(args, state, control)
    assert not control.should_training_stop, "the next save is in step 2"
    callback.run._shelf.room.budget = 1
    callback.run.expect_saves(1_000)
    state.global_step, control.should_save = 2, True
    callback.on_step_end(args, state, control)
    assert not control.should_save
    assert control.should_training_stop
    callback.on_train_end(args, state, control)
    assert not callback.run.should_stop(), "done"


def test_the_save_of_an_epoch_is_left_out_where_there_is_no_room(
    watched: tuple[cusp.CuspCallback, Any, TrainerState, TrainerControl],
) -> None:
    callback, args, state, control = watched
    assert callback.run is not None
    control.should_save = True
    callback.on_epoch_end(args, state, control)
    assert control.should_save
    callback.run._shelf.room.budget = 1
    callback.run.expect_saves(1_000)
    callback.on_epoch_end(args, state, control)
    assert not control.should_save
    callback.run.finish()
