"""The section `grpo` is TRL's configuration: the same names, the same defaults, and every key reaches it."""

import dataclasses
import typing
from pathlib import Path
from typing import Any

import pytest
from transformers import TrainingArguments
from trl import GRPOConfig

from cusp.ids import new_id
from cusp.run_config import RECIPE_FILE
from trainer.jobs.run_folder import local_recipe
from trainer.recipe.grpo import GrpoSection
from trainer.recipe_loader import RecipeError, load_recipe, recipe_text
from trainer.train import check, grpo_arguments

FIELDS = {field.name: field for field in dataclasses.fields(GRPOConfig)}
# Arguments of GRPO that are no keys of a recipe, with the reason.
NO_KEY = {
    "model_init_kwargs": "the section model",
    "trust_remote_code": "remote code is never run",
    "reward_weights": "the list rewards",
    "generation_batch_size": "steps_per_generation says the same",
    "num_generations_eval": "scored by trainer/evaluation",
    "max_tool_calling_iterations": "no tools",
    "log_completions": "run.samples_every_steps",
    "log_multimodal": "text only",
    "num_completions_to_print": "run.samples_every_steps",
    "log_unique_prompts": "run.samples_every_steps",
    "log_completions_hub_repo": "nothing is sent to the hub",
    "use_transformers_paged": "deprecated by TRL",
    "vllm_importance_sampling_cap": "deprecated by TRL",
}
# Values that differ from the default and that TRL accepts one at a time beside the others of `tiny`.
ANOTHER: dict[str, Any] = {
    "max_steps": 7,
    "num_generations": 4,
    "per_device_train_batch_size": 24,
    "gradient_accumulation_steps": 2,
    "steps_per_generation": 2,
    "lr_scheduler_type": "cosine",
    "lr_scheduler_kwargs": {"min_lr_rate": 0.2},
    "optim": "sgd",
    "optim_args": "momentum=0.9",
    "pad_to_multiple_of": 8,
    "cache_implementation": "static",
    "vllm_structured_outputs_regex": "[0-9]+",
    "vllm_server_base_url": "http://127.0.0.1:9",
    "vllm_server_host": "127.0.0.1",
    "vllm_max_model_length": 64,
    "torch_empty_cache_steps": 3,
    "tf32": False,
}


def default(name: str) -> Any:
    field = FIELDS[name]
    if field.default is not dataclasses.MISSING:
        return field.default
    assert field.default_factory is not dataclasses.MISSING
    return field.default_factory()


def test_every_argument_of_grpo_is_a_key_or_has_a_reason_not_to_be() -> None:
    own = set(FIELDS) - {field.name for field in dataclasses.fields(TrainingArguments)}
    assert own - set(GrpoSection.model_fields) == set(NO_KEY)
    assert set(GrpoSection.model_fields) <= set(FIELDS)


def test_a_key_that_came_later_has_the_default_that_recipes_before_it_trained_with() -> None:
    later = {
        name: field.get_default()
        for name, field in GrpoSection.model_fields.items()
        if not field.is_required()
    }
    assert len(later) > 50
    assert later == {name: default(name) for name in later}


def test_the_shipped_values_of_rarely_changed_keys_are_those_of_trl() -> None:
    grpo = load_recipe("tiny").grpo
    differing = {
        name
        for name, field in GrpoSection.model_fields.items()
        if not field.is_required() and getattr(grpo, name) != default(name)
    }
    assert differing == {"ddp_find_unused_parameters"}


@pytest.mark.parametrize("name", GrpoSection.model_fields)
def test_every_key_reaches_trl(name: str, tmp_path: Path) -> None:
    recipe = load_recipe("tiny")
    before = getattr(recipe.grpo, name)
    value = ANOTHER[name] if name in ANOTHER else another(name, before)
    assert value != before
    grpo = GrpoSection.model_validate({**recipe.grpo.model_dump(), name: value})
    recipe = recipe.model_copy(update={"grpo": grpo})
    config = GRPOConfig(**grpo_arguments(recipe, tmp_path, has_gpu=False))
    assert getattr(config, name) == value


def another(name: str, before: Any) -> Any:
    """Return an allowed value that is not `before`."""
    kind = GrpoSection.model_fields[name].annotation
    choices = [
        c
        for each in (kind, *typing.get_args(kind))
        for c in typing.get_args(each)
        if isinstance(c, str)
    ]
    if isinstance(before, bool) or bool in (kind, *typing.get_args(kind)):
        return not before
    if choices and isinstance(before, str):
        return next(choice for choice in choices if choice != before)
    if "kwargs" in name or name.endswith("_config"):
        return {"use_reentrant": False} if "checkpointing" in name else {"some": 1}
    if isinstance(before, int):
        return before + 1
    return 0.5 if before != 0.5 else 0.25


@pytest.mark.parametrize(
    "loss", ["grpo", "bnpo", "dr_grpo", "dapo", "cispo", "sapo", "luspo", "vespo"]
)
def test_every_loss_of_trl_can_be_chosen(loss: str, tmp_path: Path) -> None:
    recipe = load_recipe("tiny", [f"grpo.loss_type={loss}"])
    assert GRPOConfig(**grpo_arguments(recipe, tmp_path, has_gpu=False)).loss_type == loss


def test_no_training_begins_with_a_server_without_an_address(cusp_dir: Path) -> None:
    server = ["grpo.use_vllm=true", "grpo.vllm_mode=server"]
    with pytest.raises(
        RecipeError, match=r"needs the server's address; give grpo.vllm_server_base_url"
    ):
        check(["tiny", *server], 1, 0)
    check(["tiny", "grpo.vllm_mode=server"], 1, 0)  # not used
    check(["tiny", "grpo.vllm_server_host=10.0.0.2", *server], 1, 0)
    check(["tiny", "grpo.vllm_server_base_url=http://box:8000", *server], 1, 0)


def test_a_run_that_was_stored_before_a_server_had_an_address_is_read_and_resumed(
    cusp_dir: Path,
) -> None:
    run_id = new_id()
    root = cusp_dir / "runs" / run_id
    root.mkdir(parents=True)
    stored = load_recipe("tiny", ["grpo.use_vllm=true", "grpo.vllm_mode=server"])
    lines = recipe_text(stored).splitlines(keepends=True)
    (root / RECIPE_FILE).write_text("".join(one for one in lines if "vllm_server_" not in one))
    assert local_recipe(root) == stored
    assert check(["--resume", "--run-id", run_id], None, 0) == 1
