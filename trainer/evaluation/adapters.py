"""Strict loading of LoRA adapters: every tensor must match, so that no base model is scored as an adapter.

`peft` loads what fits and warns of the rest: an adapter with other names, or without tensors (as ZeRO-3
leaves it when nothing was gathered), would be the base model under its name. So names and shapes are compared
before and after loading, and any error of `peft` becomes one sentence.
"""

import copy
import json
import math
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict

from cusp.checkpoints.safetensors_header import ADAPTER, GATHER, Shape, WeightsError, shapes
from cusp.errors import CuspError

CONFIG = "adapter_config.json"
MOST_NAMED = 3
LARGEST_RANK = 8_192
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


class AdapterError(CuspError, ValueError):
    """A checkpoint directory holds no adapter that may be loaded on the base model."""


def loaded(base: Any, path: Path, base_id: str | None = None) -> Any:
    """Return a copy of `base` with the adapter of a checkpoint; `base` is not changed.

    AdapterError names missing and unexpected tensors, or any other fault. `base_id` is the hub's name of the
    base model, if it has one.
    """
    config, found = read(path)
    _check_base(path, config, base_id)
    try:
        model = PeftModel.from_pretrained(copy.deepcopy(base), str(path), use_safetensors=True)
        expected = get_peft_model_state_dict(model, save_embedding_layers=False)
    except Exception as error:  # a crafted file may make peft raise anything
        raise _unloadable(path, error) from error
    check_names(path, found, expected, model.state_dict())
    return model


def check_fitting(base: Any, path: Path, base_id: str | None = None) -> LoraConfig:
    """Return the configuration of an adapter that fits `base`, which may have no weights (device `meta`).

    For an engine that loads the adapter itself: AdapterError, as `loaded` raises it, before it is told to.
    """
    config, found = read(path)
    _check_base(path, config, base_id)
    try:
        lora = LoraConfig.from_pretrained(str(path))
        with torch.device("meta"):
            model = get_peft_model(copy.deepcopy(base), lora)
        expected = get_peft_model_state_dict(model, save_embedding_layers=False)
    except Exception as error:  # a crafted file may make peft raise anything
        raise _unloadable(path, error) from error
    check_names(path, found, expected, model.state_dict())
    for name, tensor in expected.items():
        if tuple(tensor.shape) != tuple(found[name]):
            raise AdapterError(
                f"{path} cannot be loaded on the base model (size mismatch: {name} is {list(found[name])}"
                f" and has to be {list(tensor.shape)})"
            )
    return lora


def _unloadable(path: Path, error: Exception) -> AdapterError:
    said = " ".join(str(error).split()) or "no reason given"
    return AdapterError(
        f"{path} cannot be loaded on the base model ({type(error).__name__}: {said:.300})"
    )


def check_resumable(model: Any, path: Path) -> None:
    """Raise AdapterError unless the checkpoint has all adapter tensors of a training's model."""
    _, found = read(path)
    expected = get_peft_model_state_dict(model, save_embedding_layers=False)
    check_names(path, found, expected, model.state_dict())


def read(path: Path) -> tuple[dict[str, Any], dict[str, Shape]]:
    """Return an adapter's configuration and tensor shapes; AdapterError when it is broken."""
    if not (path / ADAPTER).is_file():
        there = sorted(each.name for each in path.iterdir()) if path.is_dir() else []
        pickled = " (adapter_model.bin is a pickle)" if "adapter_model.bin" in there else ""
        raise AdapterError(f"{path} holds no {ADAPTER}; other formats are never loaded{pickled}")
    config = _config(path / CONFIG)
    try:
        found = shapes(path / ADAPTER)
    except WeightsError as error:
        raise AdapterError(str(error)) from error
    empty = sorted(name for name, shape in found.items() if not math.prod(shape))
    if not found or empty:
        named = f": {_named(empty)}" if empty else ""
        raise AdapterError(f"{path / ADAPTER} holds tensors without numbers{named or ''}; {GATHER}")
    wide = max((shape[0] for name, shape in found.items() if "lora_A" in name and shape), default=0)
    rank, pattern = config.get("r", 0), config.get("rank_pattern") or {}
    ranks = [rank, *(pattern.values() if isinstance(pattern, dict) else [None])]
    if not all(isinstance(one, int) and 0 < one <= LARGEST_RANK for one in ranks):
        raise AdapterError(f"{path / CONFIG} has the rank {rank!r}; it is a number from 1 to 8,192")
    if wide and wide > max(ranks):
        raise AdapterError(f"{path / CONFIG} has the rank {rank}, but the weights have {wide}")
    return config, found


def check_names(
    path: Path, found: Collection[str], expected: Collection[str], known: Collection[str] = ()
) -> None:
    """Raise AdapterError unless the file's tensors are those that the model expects.

    `known` are all tensors of the model with adapter: a file may also hold tensors of the base model.
    """
    missing = sorted(set(expected) - set(found))
    unexpected = sorted(set(found) - set(expected) - set(known))
    if not missing and not unexpected:
        return
    parts = [f"{len(missing)} are missing ({_named(missing)})"] if missing else []
    parts += [f"{len(unexpected)} are unexpected ({_named(unexpected)})"] if unexpected else []
    raise AdapterError(
        f"the adapter in {path} does not fit the base model: of its tensors {' and '.join(parts)}."
        f"{_hint(unexpected)}"
    )


def _hint(unexpected: list[str]) -> str:
    for prefix, why in (
        ("_orig_mod.", "torch.compile"),
        ("module.", "a distributed wrapper"),
        ("_fsdp_wrapped_module.", "FSDP"),
    ):
        if any(prefix in name for name in unexpected):
            return f" The names hold {prefix!r} of {why}: save the unwrapped model"
    return " Was it trained on another base model, or with other target modules?"


def _named(names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def _config(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise AdapterError(
            f"{file} cannot be read ({error.strerror}); save the adapter anew"
        ) from error
    except (ValueError, RecursionError) as error:
        raise AdapterError(f"{file} is no JSON; save the adapter anew") from error
    if not isinstance(content, dict):
        raise AdapterError(f"{file} holds no object; save the adapter anew")
    if content.get("peft_type") != "LORA":
        raise AdapterError(
            f"{file} has peft_type {content.get('peft_type')!r}; LORA adapters are evaluated"
        )
    if content.get("megatron_config"):
        raise AdapterError(f"{file} has megatron_config, which names code to run; remove it")
    return content


def _check_base(path: Path, config: dict[str, Any], base_id: str | None) -> None:
    """Raise AdapterError for an adapter of another hub model; local folders are compared by shapes only."""
    named = config.get("base_model_name_or_path")
    if not base_id or not isinstance(named, str):
        return
    ids = [one for one in (named, base_id) if _HUB_ID.fullmatch(one) and not Path(one).exists()]
    if len(ids) == 2 and named.lower() != base_id.lower():
        raise AdapterError(
            f"the adapter in {path} was trained on {named}, and the recipe names {base_id}"
        )
