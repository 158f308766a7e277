"""Loads a recipe's base model and tokenizer: the embedded one, a local folder, or one of the hub."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import torch
from huggingface_hub import HfApi, try_to_load_from_cache
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

from cusp.errors import CuspError
from trainer.recipe import PretrainedModel, Recipe, SmolModel, TinyModel
from trainer.training.hardware import usable_attention

HUB_S = 10.0  # seconds that the hub has to name a commit


class ModelError(CuspError, ValueError):
    """The base model cannot be downloaded or loaded; the message says what to do."""


def load_base(
    recipe: Recipe, cache: Path, progress: Callable[[str], None] = print
) -> tuple[Any, Any]:
    """Return (model, tokenizer) on the CPU; the trainer or evaluator moves the model."""
    if isinstance(recipe.model, TinyModel):
        from trainer.tiny.base import base_model

        folder = base_model(recipe.model, cache, progress)
        # AutoTokenizer would replace the splitting rules of tokenizer.json by Qwen2's.
        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
        return _load(str(folder), None, torch.float32, "sdpa"), tokenizer
    if isinstance(recipe.model, SmolModel):
        from trainer.smol.small_base import small_base

        folder = small_base(recipe.model, cache, progress)
        tokenizer = _tokenizer(str(folder), None)
        tokenizer.padding_side = "left"  # not among what is saved of a tokenizer
        return _load(str(folder), None, torch.float32, "sdpa"), tokenizer
    return load_pretrained(recipe.model)


@dataclass(frozen=True)
class Located:
    """Where another program finds a recipe's base model, and the tokenizer for it."""

    name: str  # a folder, or a name of the hub
    revision: str | None
    dtype: str
    tokenizer: Any
    hub_id: str | None


def located(recipe: Recipe, cache: Path, progress: Callable[[str], None] = print) -> Located:
    """Return where the base model is, made or converted now unless the cache has it; no weights are loaded.

    ModelError when its tokenizer cannot be loaded.
    """
    model = recipe.model
    if isinstance(model, TinyModel):
        from trainer.tiny.base import base_model

        folder = base_model(model, cache, progress)
        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
        return Located(str(folder), None, "float32", tokenizer, None)
    if isinstance(model, SmolModel):
        from trainer.smol.small_base import small_base

        folder = small_base(model, cache, progress)
        return Located(str(folder), None, "float32", _tokenizer(str(folder), None), None)
    try:
        tokenizer = _prepared_tokenizer(model)
    except (OSError, ImportError, ValueError) as error:
        raise _not_loaded(model, error) from error
    return Located(model.id, model.revision, model.dtype, tokenizer, model.id)


def weights_identity(model: PretrainedModel | SmolModel | TinyModel) -> object:
    """Return what tells a base model's weights from others of its name; None where the recipe says it all.

    Of a folder names, sizes in bytes and times of change in ns of its weights, of a model of the hub its commit: the
    newest, which is the one that is loaded, or without a network the one that is here.
    """
    if not isinstance(model, PretrainedModel):
        return None
    folder = Path(model.id)
    if folder.is_dir():
        stats = [(each.name, each.stat()) for each in sorted(folder.glob("*.safetensors"))]
        return [[name, found.st_size, found.st_mtime_ns] for name, found in stats]
    try:
        return HfApi().model_info(model.id, revision=model.revision, timeout=HUB_S).sha
    except (OSError, ValueError, httpx.HTTPError):
        kept = try_to_load_from_cache(model.id, "config.json", revision=model.revision)
        return Path(kept).parent.name if isinstance(kept, str) else None


def load_pretrained(options: PretrainedModel) -> tuple[Any, Any]:
    """Return (model, tokenizer) of a pretrained model; ModelError when it cannot be loaded."""
    try:
        tokenizer = _prepared_tokenizer(options)
        dtype = torch.bfloat16 if options.dtype == "bfloat16" else torch.float32
        model = _load(options.id, options.revision, dtype, usable_attention(options))
    except (OSError, ImportError, ValueError) as error:
        raise _not_loaded(options, error) from error
    return model, tokenizer


def _not_loaded(options: PretrainedModel, error: Exception) -> ModelError:
    first_line = str(error).strip().splitlines()[0]
    return ModelError(
        f"the model {options.id} could not be loaded ({first_line}); check the network and"
        " HF_HUB_OFFLINE, or give a local folder as model.id"
    )


def _prepared_tokenizer(options: PretrainedModel) -> Any:
    tokenizer = _tokenizer(options.id, options.revision)
    if options.pad_token is not None:
        tokenizer.pad_token = options.pad_token
    if options.chat_template is not None:
        tokenizer.chat_template = options.chat_template
    tokenizer.padding_side = "left"
    return tokenizer


def _load(name: str, revision: str | None, dtype: torch.dtype, attention: str) -> Any:
    return AutoModelForCausalLM.from_pretrained(
        name,
        revision=revision,
        dtype=dtype,
        attn_implementation=attention,
        trust_remote_code=False,
        use_safetensors=True,
    )


def _tokenizer(name: str, revision: str | None) -> Any:
    return AutoTokenizer.from_pretrained(name, revision=revision, trust_remote_code=False)
