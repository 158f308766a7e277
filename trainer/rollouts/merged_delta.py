"""What is lost of a LoRA update when it is merged into a base of low precision.

A layer's weights after merging are `round(W + D)`, with the base's weights W and the update D (`scaling * B A`).
bfloat16 has 8 significant bits, so an update below 2^-9 of a weight is rounded away: at Tina's learning rate of
1e-6 most of it, for hundreds of steps. The share that is lost, over all layers, is

    ||round(W + D) - W - D||_F / ||D||_F
"""

import math
from typing import Any

import torch

MOST_AT_ONCE = 1 << 24  # elements of a layer that are compared at once: 128 MiB a float64 copy


class MergeLoss:
    """Sums over layers of a merge; `add` a layer at a time, then read `share`."""

    def __init__(self) -> None:
        self._lost = self._all = 0.0

    @torch.no_grad()
    def add(self, weight: torch.Tensor, delta: torch.Tensor, dtype: torch.dtype) -> None:
        """Add a layer merged at a precision: the base's weights and the update, of the same shape."""
        rows = (
            max(1, MOST_AT_ONCE // max(1, weight[0].numel())) if weight.dim() > 1 else len(weight)
        )
        for first in range(0, len(weight), rows):
            base = weight[first : first + rows].double()
            update = delta[first : first + rows].double()
            merged = (base + update).to(dtype).double()
            self._lost += float((merged - base - update).square().sum())
            self._all += float(update.square().sum())

    @property
    def share(self) -> float:
        """The share of the update that is lost, 0 to about 1; 0 where there is no update."""
        return math.sqrt(self._lost / self._all) if self._all else 0.0


def layers_of(model: Any) -> list[tuple[str, Any]]:
    """Return the name and module of each LoRA layer of a peft model, in order."""
    from peft.tuners.lora import LoraLayer

    return [(name, each) for name, each in model.named_modules() if isinstance(each, LoraLayer)]


@torch.no_grad()
def delta_of(layer: Any) -> torch.Tensor:
    """Return the update of a LoRA layer in float32, as it is applied to inputs: all active adapters."""
    found = [
        layer.get_delta_weight(name)
        for weights in (layer.lora_A, layer.lora_embedding_A)
        for name in layer.active_adapters
        if name in weights
    ]
    return torch.stack([each.float() for each in found]).sum(dim=0)


def merged_delta_error(model: Any, dtype: torch.dtype | None = None) -> float:
    """Return the share of a peft model's update that a merge loses, over all LoRA layers; nothing is merged.

    At `dtype`, or (None) at the precision that each base weight has, as TRL merges. The memory is that of one layer.
    """
    sums = MergeLoss()
    for _, layer in layers_of(model):
        weight = layer.get_base_layer().weight.detach()
        sums.add(weight, delta_of(layer), dtype or weight.dtype)
    return sums.share
