"""What is left of an adapter that is merged into a base of low precision.

bfloat16 has 8 bits of significand: a change of a weight by less than 1/512 of it is rounded away. At a
learning rate of 1e-6 nearly all of an adapter's first changes are that small.
"""

import math
from collections.abc import Iterator
from typing import Any

import torch


def merged_delta_error(model: Any) -> float:
    """Return the relative error of a merged adapter: 0 nothing is lost, 1 as much as the adapter changed.

    ||round(W + D) - W - D|| / ||D||, Frobenius norms over all LoRA layers together, where D is the adapter's
    change in float32 and the sum is rounded as `peft` rounds it when it merges. 0 for an adapter that changes
    nothing yet. Nothing is merged; one layer is computed at a time, on its own device.
    """
    lost = whole = 0.0
    with torch.no_grad():
        for weight, delta in _layers(model):
            merged = weight.clone()
            merged += delta  # as peft's unsafe merge, which is the one that TRL uses
            rest = merged.float()
            rest -= weight.float()
            rest -= delta
            lost += float(rest.double().square().sum())
            whole += float(delta.double().square().sum())
    return math.sqrt(lost / whole) if whole else 0.0


def _layers(model: Any) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield (base weight, change in float32) of every layer with an active LoRA adapter."""
    for layer in model.modules():
        if hasattr(layer, "lora_A") and hasattr(layer, "get_delta_weight"):
            for name in layer.active_adapters:
                if name in layer.lora_A:
                    yield layer.get_base_layer().weight.detach(), _delta(layer, name)


def _delta(layer: Any, adapter: str) -> torch.Tensor:
    change: torch.Tensor = layer.get_delta_weight(adapter)
    return change.detach().float()
