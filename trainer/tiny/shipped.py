"""Shipped weights of the base model of `tiny` and `tiny_healthy`, and the record of what made them.

Trained anew the weights differ in their last digits from CPU to CPU, and so does the whole GRPO run that
starts from them; shipped, every machine starts from the same.

python -m benchmarks.zoo.ship_base      # trains them anew (about a minute) and replaces the file
"""

import ast
import functools
import hashlib
import inspect
import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import Qwen2ForCausalLM

from trainer.recipe import TinyModel
from trainer.tiny import base_training, problems, teacher_traces, tokenizer

FILE = Path(__file__).with_name("base.safetensors")
SOURCES = (problems, tokenizer, teacher_traces, base_training)
_TIED = "lm_head.weight"  # the embedding's own tensor


def used_for(options: TinyModel) -> bool:
    """Return whether the shipped weights are those of `options`, which ask for no rebuild."""
    return not options.rebuild and record()["options"] == weights_options(options)


def base(options: TinyModel) -> Qwen2ForCausalLM:
    """Return the base model with the shipped weights."""
    model = base_training.empty_model(options)
    weights = load_file(str(FILE))
    model.load_state_dict({**weights, _TIED: weights["model.embed_tokens.weight"]})
    return model


def record() -> dict[str, Any]:
    """Return what made the shipped weights: options, source hash, versions and machine."""
    with safe_open(str(FILE), framework="pt") as file:
        found: dict[str, Any] = json.loads(file.metadata()["made_from"])
    return found


def made_from(options: TinyModel) -> dict[str, Any]:
    """Return the record of weights trained here and now; equal records give equal bits."""
    return {
        "options": weights_options(options),
        "sources": source_hash(),
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        "machine": {
            "cpu": _cpu_name(),
            "instructions": torch.backends.cpu.get_cpu_capability(),
            "threads": torch.get_num_threads(),
        },
    }


def weights_options(options: TinyModel) -> dict[str, Any]:
    """Return the options that determine the weights, as JSON holds them."""
    return options.model_dump(mode="json", exclude={"rebuild"})


@functools.cache
def source_hash() -> str:
    """Return the hash of the code that trains a base."""
    return code_hash([inspect.getsource(module) for module in SOURCES])


def code_hash(sources: Sequence[str]) -> str:
    """Return a short hash of Python modules without docstrings, comments and layout.

    >>> code_hash(["x=1  # one"]) == code_hash(["x = 1"]) != code_hash(["x = 2"])
    True
    """
    code = [ast.unparse(_without_docstrings(source)) for source in sources]
    return hashlib.sha256("\n".join(code).encode()).hexdigest()[:16]


def weights_of(model: Qwen2ForCausalLM) -> dict[str, torch.Tensor]:
    """Return the tensors to store: all but the tied one."""
    return {name: one.contiguous() for name, one in model.state_dict().items() if name != _TIED}


def write(options: TinyModel, file: Path = FILE) -> None:
    """Train the base model of `options` and replace `file` by its weights."""
    weights = weights_of(base_training.make_base(options))
    record = json.dumps(made_from(options), sort_keys=True)
    save_file(weights, str(file), metadata={"format": "pt", "made_from": record})


def _without_docstrings(source: str) -> ast.Module:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            node
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return tree


def _cpu_name() -> str:
    """Return the CPU's model name on Linux, elsewhere what Python knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())
