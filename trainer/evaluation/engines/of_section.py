"""The engine that a recipe's section `evaluation.engine` names."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trainer import launch
from trainer.evaluation.engines.base_model import BaseModel
from trainer.evaluation.engines.completion import Engine
from trainer.recipe import HfEngine, OpenAIEngine, PretrainedModel, Recipe, VllmEngine

Place = Callable[[int], str]
"""Claims a device for a model of so many parameters: returns "cuda" or "cpu"; DeviceBusy where there is none."""

LARGE = (
    1 << 62
)  # parameters of a model that is scored on no CPU while there is a GPU, as vLLM's build is for one


def engine_of(
    recipe: Recipe,
    options: HfEngine | VllmEngine | OpenAIEngine,
    cache: Path,
    *,
    place: Place,
    say: Callable[[str], None],
) -> Engine:
    """Return an engine of the recipe's base model.

    `cache` holds base models and logs. Raises ModelError, EngineError and DeviceBusy.
    """
    if isinstance(options, HfEngine):
        return _transformers(recipe, cache, place, say)
    base = BaseModel(recipe, cache, say)
    if isinstance(options, OpenAIEngine):
        from trainer.evaluation.engines.openai_engine import OpenAIServer

        return OpenAIServer(options, base)
    from trainer.evaluation.engines.vllm_engine import VllmProcesses

    gpus = visible() if place(LARGE) == "cuda" else []
    return VllmProcesses(options, base, recipe.lora.r, gpus, cache / "engines")


def identity(options: HfEngine | VllmEngine | OpenAIEngine) -> dict[str, Any]:
    """Return what of an engine can change a score: rows of one are no rows of another."""
    return options.model_dump(mode="json", exclude={"gpu_memory_utilization"})


def visible() -> list[str]:
    """Return the names of the GPUs that this process may use, one for each engine process."""
    count = launch.visible_gpus()
    named = [each for each in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if each]
    return named[:count] if named else [str(number) for number in range(count)]


def _transformers(
    recipe: Recipe,
    cache: Path,
    place: Place,
    say: Callable[[str], None],
) -> Engine:
    from trainer.evaluation.engines.transformers_engine import TransformersEngine
    from trainer.training.model import load_base

    def load() -> tuple[Any, Any]:
        base, tokenizer = load_base(recipe, cache, say)
        return base.to(place(base.num_parameters())), tokenizer

    named = recipe.model.id if isinstance(recipe.model, PretrainedModel) else None
    return TransformersEngine(load, named)
