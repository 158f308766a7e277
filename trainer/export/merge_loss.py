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


class MergedDelta:
    """Sums over layers of a merge at one precision; `add` a layer at a time, then read `error`."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self._lost = self._all = 0.0

    @torch.no_grad()
    def add(self, weight: torch.Tensor, delta: torch.Tensor) -> None:
        """Add a layer: the base's weights and the update, of the same shape, at any precision."""
        rows = (
            max(1, MOST_AT_ONCE // max(1, weight[0].numel())) if weight.dim() > 1 else len(weight)
        )
        for first in range(0, len(weight), rows):
            base = weight[first : first + rows].double()
            update = delta[first : first + rows].double()
            merged = (base + update).to(self.dtype).double()
            self._lost += float((merged - base - update).square().sum())
            self._all += float(update.square().sum())

    @property
    def error(self) -> float:
        """The share of the update that is lost, 0 to about 1; 0 where there is no update."""
        return math.sqrt(self._lost / self._all) if self._all else 0.0


def layers_of(model: Any) -> list[tuple[str, Any]]:
    """Return the name and module of each LoRA layer of a peft model, in order."""
    from peft.tuners.lora import LoraLayer

    return [(name, each) for name, each in model.named_modules() if isinstance(each, LoraLayer)]


@torch.no_grad()
def delta_of(layer: Any) -> torch.Tensor:
    """Return the update of a LoRA layer in float32, as it is applied to inputs: all active adapters."""
    found = [layer.get_delta_weight(name) for name in layer.active_adapters if name in layer.lora_A]
    found += [
        layer.get_delta_weight(name)
        for name in layer.active_adapters
        if name in layer.lora_embedding_A
    ]
    return torch.stack([each.float() for each in found]).sum(dim=0)


def lost_of(model: Any, dtype: torch.dtype) -> float:
    """Return the share of a peft model's update that a merge at `dtype` loses, over all LoRA layers.

    The weights of the base are those that the model holds. The memory is that of one layer.
    """
    sums = MergedDelta(dtype)
    for _, layer in layers_of(model):
        sums.add(layer.get_base_layer().weight, delta_of(layer))
    return sums.error
