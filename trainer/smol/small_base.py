"""The base model of the recipe `smol` in a cached folder, and its warm start beside it."""

import hashlib
import inspect
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers

from trainer.cached_folder import cached_folder
from trainer.recipe import SmolModel, WarmStart
from trainer.smol import conversion, packaged, thought_traces, warm_start

Progress = Callable[[str], None]


def small_base(options: SmolModel, cache: Path, progress: Progress = print) -> Path:
    """Return the folder of the model of `options`, made now unless `cache` holds it.

    Raises SmolError when its weights can be neither found nor downloaded, GymError for a wrong task.
    """
    base = cached_folder(
        cache / f"smollm2-{_key([packaged.SHA256], conversion)}",
        lambda work: _convert(work, progress),
    )
    start = options.warm_start
    if start is None:
        return base
    made_from = [base.name, start.model_dump(mode="json"), torch.__version__]
    return cached_folder(
        cache / f"smollm2-{_key(made_from, warm_start, thought_traces)}",
        lambda work: _warm_start(base, start, work, progress),
    )


def _convert(work: Path, progress: Progress) -> None:
    with tempfile.TemporaryDirectory(dir=work.parent) as folder:
        file = packaged.weights_file(Path(folder), progress)
        progress("base model: converting SmolLM2-135M-Instruct (about a minute, once; then cached)")
        conversion.save(*conversion.converted(file), work)


def _warm_start(base: Path, options: WarmStart, work: Path, progress: Progress) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(base)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        base, dtype=torch.float32, use_safetensors=True
    )
    warm_start.warm_started(model, tokenizer, options, progress)
    conversion.save(model, tokenizer, work)


def _key(made_from: list[Any], *code: Any) -> str:
    """Return a short hash of what determines the weights, with the source of these modules."""
    text = json.dumps([made_from, *map(inspect.getsource, code)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
