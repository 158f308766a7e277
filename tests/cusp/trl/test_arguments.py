"""What is measured and saved, and how often, is read off real arguments and the state made from them."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from transformers import TrainerState, TrainingArguments
from trl import GRPOConfig

from cusp import RunMetadata
from cusp.trl.arguments import described, flops_per_token, warnings_on

pytestmark = pytest.mark.filterwarnings("ignore:::(trl|transformers|torch|accelerate)")


def read(kind: type[Any], folder: Path, max_steps: int = 850, **chosen: Any) -> RunMetadata:
    """Return what is read off a training with these arguments, whose state transformers has filled in."""
    batches = chosen.pop("batches", None)
    args = kind(output_dir=str(folder), use_cpu=True, max_steps=max_steps, **chosen)
    state = TrainerState(max_steps=max_steps)
    state.compute_steps(args, max_steps)
    loader = None if batches is None else range(batches)
    return described(args, state, None, RunMetadata(), loader)


GRPO = {"per_device_train_batch_size": 6, "num_generations": 3, "logging_steps": 1}


@pytest.mark.parametrize(
    ("chosen", "completions"),
    [
        ({}, 6),
        ({"gradient_accumulation_steps": 4}, 24),
        ({"gradient_accumulation_steps": 4, "logging_steps": 10}, 240),
        # a generation of 8 batches feeds two steps: the point of a step that has one covers all of it
        ({"gradient_accumulation_steps": 4, "steps_per_generation": 8}, 48),
        ({"gradient_accumulation_steps": 4, "steps_per_generation": 8, "logging_steps": 4}, 96),
        # two generations within one step
        ({"gradient_accumulation_steps": 4, "steps_per_generation": 2}, 24),
        ({"gradient_accumulation_steps": 4, "generation_batch_size": 48}, 48),
        # each generation is trained on twice: half as many are made
        ({"gradient_accumulation_steps": 2, "num_iterations": 2, "logging_steps": 10}, 60),
        ({"gradient_accumulation_steps": 2, "num_iterations": 4}, 12),
        # a share of max_steps, rounded up as transformers rounds it
        ({"logging_steps": 0.01, "max_steps": 850}, 54),
        ({"logging_steps": 0.5, "max_steps": 5}, 18),
        ({"logging_strategy": "epoch", "batches": 20, "gradient_accumulation_steps": 2}, 120),
        ({"logging_strategy": "no"}, None),
    ],
)
def test_completions_per_point_are_those_that_trl_takes_the_mean_of(
    tmp_path: Path, chosen: dict[str, Any], completions: int | None
) -> None:
    chosen = {**GRPO, **chosen}
    found = read(GRPOConfig, tmp_path, chosen.pop("max_steps", 850), **chosen)
    assert found.completions_per_point == completions


def test_another_trainer_has_its_batch_counted(tmp_path: Path) -> None:
    found = read(TrainingArguments, tmp_path, per_device_train_batch_size=6, logging_steps=2)
    assert found.completions_per_point == 12


@pytest.mark.parametrize(
    ("chosen", "steps"),
    [
        ({"save_steps": 50}, 50),
        ({"save_steps": 0.1, "max_steps": 850}, 85),
        ({"save_steps": 0.03, "max_steps": 50}, 2),
        ({"save_strategy": "no", "save_steps": 50}, None),
        ({"save_strategy": "epoch", "batches": 20}, 20),
        ({"save_strategy": "epoch", "batches": 21, "gradient_accumulation_steps": 4}, 6),
        ({"save_strategy": "epoch"}, None),  # an iterable of unknown length
        ({"save_strategy": "best", "eval_strategy": "steps", "eval_steps": 25}, 25),
        ({"save_strategy": "best", "eval_strategy": "steps", "eval_steps": 0.1}, 85),
        ({"save_strategy": "best", "eval_strategy": "epoch", "batches": 20}, 20),
    ],
)
@pytest.mark.parametrize("kind", [TrainingArguments, GRPOConfig])
def test_save_steps_are_those_at_which_checkpoints_are_saved(
    tmp_path: Path, kind: type[Any], chosen: dict[str, Any], steps: int | None
) -> None:
    if chosen.get("save_strategy") == "best":
        chosen = {**chosen, "metric_for_best_model": "loss"}
    chosen = {"per_device_train_batch_size": 8, "per_device_eval_batch_size": 8, **chosen}
    found = read(kind, tmp_path, chosen.pop("max_steps", 850), **chosen)
    assert found.save_steps == steps


def test_an_epoch_without_a_dataloader_is_counted_from_the_number_of_epochs(tmp_path: Path) -> None:
    args = TrainingArguments(
        output_dir=str(tmp_path), use_cpu=True, save_strategy="epoch", num_train_epochs=3
    )
    state = TrainerState(max_steps=60)
    state.compute_steps(args, 60)
    assert described(args, state, None, RunMetadata()).save_steps == 20


def test_a_resumed_training_is_described_by_the_steps_that_its_state_goes_by(
    tmp_path: Path,
) -> None:
    """transformers goes on with the intervals of the checkpoint's state, and warns of others."""
    args = TrainingArguments(output_dir=str(tmp_path), use_cpu=True, logging_steps=1, save_steps=10)
    state = TrainerState(max_steps=100, global_step=40, logging_steps=5, save_steps=20)
    found = described(args, state, None, RunMetadata())
    assert (found.completions_per_point, found.save_steps) == (
        5 * args.per_device_train_batch_size,
        20,
    )


def test_what_was_given_is_not_read_off(tmp_path: Path) -> None:
    args = TrainingArguments(output_dir=str(tmp_path), use_cpu=True)
    given = RunMetadata(save_steps=7, completions_per_point=3)
    found = described(args, TrainerState(max_steps=10), None, given)
    assert (found.save_steps, found.completions_per_point, found.max_steps) == (7, 3, 10)


def test_every_share_gives_the_steps_at_which_transformers_acts(tmp_path: Path) -> None:
    for max_steps in (1, 7, 100, 850):
        for share in (0.001, 0.07, 0.333, 0.999):
            found = read(TrainingArguments, tmp_path, max_steps, save_steps=share)
            assert found.save_steps == math.ceil(max_steps * share)


def test_a_setting_that_leaves_nothing_to_watch_or_keep_is_said(tmp_path: Path) -> None:
    quiet = TrainingArguments(
        output_dir=str(tmp_path), use_cpu=True, logging_strategy="no", save_strategy="no"
    )
    said = " ".join(warnings_on(quiet, TrainerState()))
    assert "logging_strategy='no'" in said
    assert "save_strategy='no'" in said
    usual = TrainingArguments(output_dir=str(tmp_path), use_cpu=True)
    assert list(warnings_on(usual, TrainerState())) == []


@pytest.mark.parametrize(
    ("options", "each"),
    [
        ({}, 2 + 6),
        ({"beta": 0.04}, 2 + 6 + 2),
        ({"gradient_checkpointing": True}, 2 + 8),
        ({"num_iterations": 2}, 2 + 12 + 2),
        ({"use_vllm": True, "vllm_importance_sampling_correction": True}, 2 + 6 + 2),
        ({"steps_per_generation": 2}, 2 + 6 + 2),
    ],
)
def test_operations_a_token_follow_the_trainers_arguments(
    options: dict[str, object], each: int
) -> None:
    """As trl 1.16 decides: `gradient_accumulation_steps % (steps_per_generation * num_iterations)`."""
    plain = {"num_generations": 6, "gradient_accumulation_steps": 1, "steps_per_generation": 1}
    args = SimpleNamespace(**{**plain, **options})
    assert flops_per_token(args, 1_000, 1_000) == 1_000 * each
    assert flops_per_token(args, 1_000, 0) == 1_000 * (each - 2 * options.get("num_iterations", 1))  # type: ignore[operator]
    assert flops_per_token(args, 0, 0) is None
    del args.num_generations
    if "gradient_checkpointing" not in options and "num_iterations" not in options:
        assert flops_per_token(args, 1_000, 1_000) == 6_000, "what does not generate only trains"
