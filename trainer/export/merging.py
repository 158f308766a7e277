"""Merges an adapter into its base in float32, and measures what is lost when the result is stored.

The sum is exact to float32 and rounded once, to the precision that is asked for: merging at bfloat16 itself
(TRL's and PEFT's way) would also round the update before it is added.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel

from trainer.evaluation import adapters
from trainer.evaluation.adapters import AdapterError
from trainer.export.origin import Origin
from trainer.rollouts.merged_delta import layers_of, merged_delta_error

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_TIED = ("lm_head", "embed_tokens", "wte")


@dataclass(frozen=True)
class Merged:
    """A merged model, its precision, and the share of the update lost at that precision and at bfloat16.

    The shares are None where PEFT's update is no sum of matrices (DoRA).
    """

    model: Any
    dtype: str
    error: float | None
    error_bfloat16: float | None


@torch.no_grad()
def merged(base: Any, checkpoint: Path, origin: Origin, dtype: str | None) -> Merged:
    """Return the base with the adapter merged in, in `dtype` (None: the base's own). `base` is used up.

    AdapterError names tensors that are missing or unexpected.
    """
    own = base.dtype
    target = PRECISIONS[dtype] if dtype else own
    base_id = None if origin.is_local else origin.name
    model = adapters.loaded(base.float(), checkpoint, base_id)
    _check_tied(model)
    plain = not any(getattr(layer, "use_dora", {}).get("default") for _, layer in layers_of(model))
    lost = merged_delta_error(model, target) if plain else None
    lost_bfloat16 = merged_delta_error(model, torch.bfloat16) if plain else None
    name = next((name for name, each in PRECISIONS.items() if each == target), str(target))
    return Merged(_unloaded(model).to(target), name, lost, lost_bfloat16)


def _unloaded(model: PeftModel) -> Any:
    """Return the plain model; AdapterError if the update is not finite."""
    try:
        return model.merge_and_unload(safe_merge=True)
    except ValueError as error:
        raise AdapterError(f"the adapter cannot be merged: {error}") from error


def _check_tied(model: PeftModel) -> None:
    """Raise AdapterError where merging one of two tied matrices would change both."""
    if not getattr(model.get_base_model().config, "tie_word_embeddings", False):
        return
    names = [name for name, _ in layers_of(model) if name.rpartition(".")[2] in _TIED]
    if names:
        raise AdapterError(
            f"the adapter changes {names[0]}, which the base ties to another matrix: merged, both would"
            " change; export the adapter as it is (without --merged)"
        )
