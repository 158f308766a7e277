"""Base model of the embedded task: the shipped weights, or weights trained here, in a cached folder.

A folder appears in the cache only when it is complete; its name is a hash of what determines the weights.
"""

import hashlib
import json
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from transformers import Qwen2ForCausalLM

from trainer.cached_folder import WEIGHTS, cached_folder
from trainer.recipe import TinyModel
from trainer.tiny import shipped, tokenizer
from trainer.tiny.base_training import Progress, make_base


def base_model(options: TinyModel, cache: Path, progress: Progress = print) -> Path:
    """Return the folder of the base model for `options`, made now unless `cache` holds it.

    The shipped weights are taken where they are those of `options`, unless these ask for a rebuild. Of
    several processes one makes the folder, and the others wait.
    """

    def make(work: Path) -> None:
        _save(_made(options, progress), work)
        tokenizer.make_tokenizer().save_pretrained(work)

    return cached_folder(cache / f"tiny-base-{cache_key(options)}", make)


def cache_key(options: TinyModel) -> str:
    """Return a short hash of everything that determines the weights.

    Trained here these are the options, the code without its docstrings and comments, and the versions of
    the libraries; shipped weights are their own.
    """
    if shipped.used_for(options):
        text = shipped.FILE.read_bytes()
    else:
        versions = [torch.__version__, transformers.__version__]
        parts = [shipped.weights_options(options), shipped.source_hash(), versions]
        text = json.dumps(parts, sort_keys=True).encode()
    return hashlib.sha256(text).hexdigest()[:16]


def _made(options: TinyModel, progress: Progress) -> Qwen2ForCausalLM:
    if shipped.used_for(options):
        progress("base model: the shipped weights")
        return shipped.base(options)
    progress(f"base model: training it here, {options.sft_steps} steps")
    return make_base(options, progress)


def _save(model: Qwen2ForCausalLM, folder: Path) -> None:
    """Write the files of `save_pretrained`, which itself writes weights on rank 0 only."""
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(folder)
    model.generation_config.save_pretrained(folder)
    save_file(shipped.weights_of(model), str(folder / WEIGHTS), metadata={"format": "pt"})
