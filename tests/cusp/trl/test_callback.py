"""The callback beside a trainer that cannot be watched, or not as the user hoped."""

import logging
from pathlib import Path

import pytest
from transformers import TrainerControl, TrainerState, TrainingArguments

import cusp


@pytest.fixture
def arguments(tmp_path: Path) -> TrainingArguments:
    return TrainingArguments(output_dir=str(tmp_path / "out"), use_cpu=True, save_total_limit=2)


def walk(callback: cusp.CuspCallback, arguments: TrainingArguments) -> TrainerControl:
    """One step of a training, as the trainer calls it."""
    state, control = TrainerState(global_step=1), TrainerControl()
    state.is_world_process_zero = True
    callback.on_train_begin(arguments, state, control)
    callback.on_step_end(arguments, state, control)
    callback.on_log(arguments, state, control, logs={"reward": 0.5, "kl": None})
    callback.on_train_end(arguments, state, control)
    return control


def test_a_training_goes_on_where_cusp_has_no_place_to_write(
    arguments: TrainingArguments,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("CUSP_DIR", "/proc/nowhere")
    control = walk(cusp.CuspCallback(), arguments)
    assert not control.should_training_stop
    assert "goes on without it" in caplog.text


def test_rotation_that_may_delete_the_right_checkpoint_is_warned_of(
    arguments: TrainingArguments,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("CUSP_DIR", str(tmp_path))
    monkeypatch.setenv("CUSP_MODE", "offline")
    with caplog.at_level(logging.WARNING):
        walk(cusp.CuspCallback(), arguments)
    assert "save_total_limit=2" in caplog.text


def test_what_the_trainer_knows_travels_with_the_run(arguments: TrainingArguments) -> None:
    from cusp.trl.arguments import described

    arguments.per_device_train_batch_size = 6
    arguments.gradient_accumulation_steps = 4
    arguments.logging_steps = 1
    state = TrainerState(max_steps=850)
    state.compute_steps(arguments, 850)
    given = cusp.RunMetadata(save_steps=7)
    found = described(arguments, state, None, given)
    assert (found.max_steps, found.completions_per_point, found.save_steps) == (850, 24, 7)
