"""The callback beside a trainer that cannot be watched, or not as the user hoped."""

import json
import logging
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import TrainerControl, TrainerState, TrainingArguments

import cusp
from cusp.trl.samples import Generation


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


class Reads:
    """A trainer as TRL's, of which the callback reads the last generation."""

    def __init__(self) -> None:
        prompts = [f"prompt {place // 4}" for place in range(16)]
        self._logs = {"prompt": prompts, "completion": ["x" * (place + 1) for place in range(16)]}


def test_steps_are_read_in_order_in_one_thread_whatever_type_their_values_have(
    arguments: TrainingArguments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUSP_DIR", str(tmp_path))
    monkeypatch.setenv("CUSP_MODE", "offline")
    trainer, callback = Reads(), cusp.CuspCallback()
    callback.reading.batches_of(trainer)
    state, control = TrainerState(), TrainerControl()
    callback.on_train_begin(arguments, state, control)
    read = list[tuple[int, str]]()
    sums = callback.reading.sums

    def slow(logs: Mapping[str, object], generation: Generation) -> Mapping[str, float]:
        read.append((int(float(str(logs["completion_length"]))), threading.current_thread().name))
        time.sleep(0.01)
        return sums(logs, generation)

    monkeypatch.setattr(callback.reading, "sums", slow)
    reward = torch.zeros(1)
    for step in range(1, 13):
        state.global_step = step
        reward += 1  # in place, as a running mean is
        value: object = reward if step % 3 == 0 else np.float32(step) if step % 3 == 1 else step
        callback.on_log(
            arguments, state, control, logs={"completion_length": float(step), "reward": value}
        )
    run = callback.run
    assert run is not None
    callback.on_train_end(arguments, state, control)
    assert [step for step, _ in read] == list(range(1, 13))
    assert {thread for step, thread in read if step > 1} == {"cusp-writer"}
    spool = sorted((run.home / "attempts" / run.attempt_id).glob("spool-*"))
    lines = [json.loads(line) for file in spool for line in file.read_text().splitlines()]
    logged = [one for one in lines if one["kind"] == "point"]
    assert [(one["step"], one["metrics"]["reward"]) for one in logged] == [
        (step, float(step)) for step in range(1, 13)
    ]
