"""Builds a trainer whose completions come from vLLM, synchronised as the recipe says.

TRL names its backend by a global of the module that builds it. That name is replaced while our trainer is
built and put back, so that no other trainer of the process is touched.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trainer.recipe import PretrainedModel, Recipe
from trainer.recipe_loader import RecipeError
from trainer.rollouts import platform

MERGED_SERVER = (
    "grpo.vllm_mode=server with rollouts.sync=merged sends the weights by NCCL, which needs a GPU; give"
    " rollouts.sync=adapter, or grpo.vllm_mode=colocate"
)


@contextmanager
def generating(recipe: Recipe, root: Path, *, on_cpu: bool) -> Iterator[None]:
    """Let a `GRPOTrainer` that is built within take the backend of this recipe; RecipeError for one without."""
    if not recipe.grpo.use_vllm:
        yield
        return
    platform.quiet()
    if on_cpu:
        platform.prepare_cpu()
        if recipe.grpo.vllm_mode == "server" and recipe.rollouts.sync == "merged":
            raise RecipeError(MERGED_SERVER)
    from trl.trainer import grpo_trainer

    before = grpo_trainer.VLLMGeneration
    grpo_trainer.VLLMGeneration = backend(recipe, root, on_cpu=on_cpu)
    try:
        with _weights_that_can_be_loaded(on_cpu and recipe.rollouts.sync == "merged"):
            yield
    finally:
        grpo_trainer.VLLMGeneration = before


def backend(recipe: Recipe, root: Path, *, on_cpu: bool) -> Callable[..., Any]:
    """Return what makes TRL's vLLM backend of a recipe; `root` is the run's folder."""
    from trainer.rollouts import generation

    options = engine_options(recipe, on_cpu=on_cpu)
    if recipe.rollouts.sync == "merged":
        return functools.partial(generation.PreparedGeneration, options=options)
    if recipe.grpo.vllm_mode == "colocate":
        return functools.partial(generation.ColocatedAdapter, options=options)
    shared = root / "rollouts"
    return functools.partial(generation.ServedAdapter, options=options, shared=shared)


def engine_options(recipe: Recipe, *, on_cpu: bool) -> dict[str, Any]:
    """Return arguments of `vllm.LLM` that TRL leaves at vLLM's defaults.

    Left alone, vLLM takes the hub's newest revision whatever the training loaded, and runs a float32 model in
    bfloat16.
    """
    dtype = "bfloat16" if recipe.grpo.bf16 else "float32"
    options: dict[str, Any] = {"dtype": dtype, "use_tqdm_on_load": False}
    if isinstance(recipe.model, PretrainedModel):
        if recipe.model.dtype == "bfloat16":
            options["dtype"] = "bfloat16"
        if recipe.model.revision is not None:
            options |= {"revision": recipe.model.revision}
            options |= {"tokenizer_revision": recipe.model.revision}
    if on_cpu:
        options["enforce_eager"] = True  # compiling needs a C++ compiler and a minute
    if reshaped(recipe) and measured_raw(recipe):
        options["logprobs_mode"] = "raw_logprobs"
    return options


def reshaped(recipe: Recipe) -> bool:
    """Return whether completions are drawn from another distribution than the one the loss is of.

    Such as `generation_kwargs: {temperature: 0.7}` beside `temperature: 1.0`, as Tina did.
    """
    grpo = recipe.grpo
    kwargs = getattr(grpo, "generation_kwargs", None) or {}
    given = {
        "temperature": grpo.temperature,
        "top_p": grpo.top_p,
        "top_k": grpo.top_k,
        "min_p": getattr(grpo, "min_p", None) or 0.0,
        "repetition_penalty": getattr(grpo, "repetition_penalty", 1.0),
    }
    drawn = {**given, **{key: kwargs[key] for key in given if kwargs.get(key) is not None}}
    same = {**given, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0}
    return drawn != same


def measured_raw(recipe: Recipe) -> bool:
    """Return whether log-probabilities before any reshaping are those of the loss, and used for nothing else."""
    grpo = recipe.grpo
    used = grpo.vllm_importance_sampling_correction or (
        getattr(grpo, "off_policy_mask_threshold", None) is not None
    )
    return grpo.temperature == 1.0 and not used


@contextmanager
def _weights_that_can_be_loaded(needed: bool) -> Iterator[None]:
    """Have vLLM's CPU build keep the weights of linear layers where `load_weights` finds them.

    It packs them into another layout once (vllm/model_executor/layers/utils.py), after which TRL's way fails.
    The attribute is vLLM's own switch for a layer whose weight is read elsewhere.
    """
    if not needed:
        yield
        return
    from vllm.model_executor.layers.linear import LinearBase

    LinearBase._cpu_skip_gemm_dispatch = True
    try:
        yield
    finally:
        del LinearBase._cpu_skip_gemm_dispatch
