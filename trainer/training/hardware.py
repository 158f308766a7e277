"""Adapts a recipe to this machine, with a sentence for each change, and a job to what a training leaves of it."""

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cusp.errors import CuspError
from cusp.process import file_lock
from cusp.process.installed import pip_install
from trainer.box import Box
from trainer.recipe import PretrainedModel, Recipe
from trainer.recipe_loader import RecipeError
from trainer.rollouts import platform

# Up to this size a CPU scores the few hundred completions of a job within its time, and the copies fit
# into memory beside the training's own.
SMALL = 1_000_000_000


class DeviceBusy(CuspError, RuntimeError):
    """A training has the accelerator and the model is too large for the CPU; the message says so."""


def adapted_to_hardware(recipe: Recipe, *, has_gpu: bool) -> tuple[Recipe, list[str]]:
    """Return the recipe adapted to this machine, and a sentence for each change.

    RecipeError for a setting that cannot be replaced without changing the training.
    """
    grpo, model, changes = recipe.grpo, recipe.model, []
    if grpo.bf16 and not has_gpu:
        grpo = grpo.model_copy(update={"bf16": False})
        changes.append("no GPU here: training in float32 (grpo.bf16=false)")
    if grpo.use_vllm and not has_gpu and not platform.runs_on_cpu():
        grpo = grpo.model_copy(update={"use_vllm": False})
        changes.append("no GPU here: generating with transformers (grpo.use_vllm=false)")
    if grpo.use_vllm and not has_gpu and getattr(grpo, "vllm_enable_sleep_mode", False):
        grpo = grpo.model_copy(update={"vllm_enable_sleep_mode": False})
        changes.append(
            "vLLM on a CPU has no sleep: it stays awake (grpo.vllm_enable_sleep_mode=false)"
        )
    if grpo.use_vllm and not platform.installed():
        raise RecipeError(
            "the recipe generates with vLLM, which is not installed; install it with"
            f" {pip_install('trainer', 'vllm')}, or give grpo.use_vllm=false (slower)"
        )
    if isinstance(model, PretrainedModel) and (attention := usable_attention(model)) != (
        model.attn_implementation
    ):
        changes.append(
            f"{model.attn_implementation} is not installed here: attention by PyTorch"
            f" (model.attn_implementation={attention})"
        )
        model = model.model_copy(update={"attn_implementation": attention})
    return recipe.model_copy(update={"grpo": grpo, "model": model}), changes


def usable_attention(model: PretrainedModel) -> str:
    """Return the attention implementation to load a model with; sdpa if the chosen one is not installed."""
    from transformers.utils import is_flash_attn_2_available

    wanted = model.attn_implementation
    return "sdpa" if wanted == "flash_attention_2" and not is_flash_attn_2_available() else wanted


def adapted(make: Callable[[], Any], recipe: Recipe) -> Any:
    """Return the trainer that `make` creates; RecipeError if the model has none of the LoRA modules."""
    try:
        return make()
    except ValueError as error:
        if "target modules" not in str(error).lower():
            raise
        raise RecipeError(
            f"lora.target_modules names no module of the model: {', '.join(recipe.lora.target_modules)}"
        ) from error


def grpo_config(arguments: dict[str, Any]) -> Any:
    """Return `trl.GRPOConfig` of the arguments; RecipeError with TRL's message if it refuses them."""
    from trl import GRPOConfig

    try:
        return GRPOConfig(**arguments)
    except ValueError as error:
        raise RecipeError(f"TRL refuses these values under grpo: {error}") from error


def device_for(
    parameters: int,
    training: Path,
    box: Box,
    doing: str,
    *,
    wait: Callable[[str], None] | None = None,
) -> tuple[str, file_lock.Lock | None]:
    """Return "cuda" with the box's lock, or "cpu" without, for a base model of so many parameters.

    `training` is the lock of the run's training: beside one that is alive, or one of another run that has the
    box, the training could run out of memory. A small model is then scored on the CPU; a large one waits for
    the box if `wait` is given, which is called about every second, else DeviceBusy is raised.
    """
    if not box.has_gpu:
        return "cpu", None
    alive = file_lock.is_locked(training)
    if not alive and (held := box.take(doing)) is not None:
        return "cuda", held
    if parameters < SMALL:
        return "cpu", None
    if not alive and wait is not None:
        return "cuda", box.wait(doing, wait)
    by = (
        f"process {file_lock.owner(training)} trains the run on this box"
        if alive
        else f"{box.holder() or 'another process'} has this box"
    )
    raise DeviceBusy(
        f"{by}, and beside it there may be no room on the accelerator for a model of"
        f" {parameters / 1e9:.1f}e9 parameters; ask again when it has ended"
    )


def free_memory() -> None:
    """Give what a job no longer holds of the accelerator's memory back to the box."""
    import torch

    gc.collect()  # modules of a model refer to each other
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()
