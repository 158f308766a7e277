"""One hash of all base weights of a PEFT model: equal before and after a training that changed only the adapter.

TRL's way of bringing weights to vLLM merges the adapter into the base and takes it out again at the base's
precision, which leaves rounding behind (TRL #6688): the saved adapter then belongs to another base.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

import torch


def base_hash(model: Any) -> str | None:
    """Return the sha256 over name, dtype, shape and bytes of every base parameter, in the order of the names.

    None where a process holds only a part of a parameter (FSDP, ZeRO-3). One parameter is copied at a time.
    """
    if sharded(model):
        return None
    digest = hashlib.sha256()
    for name, tensor in sorted(base_parameters(model)):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        values = tensor.detach().contiguous().cpu().reshape(-1)
        digest.update(values.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def sharded(model: Any) -> bool:
    """Return whether a process holds only a part of a parameter (FSDP, ZeRO-3)."""
    parameters = model.parameters()
    return any(hasattr(one, "ds_id") or hasattr(one, "full_tensor") for one in parameters)


def base_parameters(model: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield (name in the base model, parameter) of what was there before the adapter was added."""
    for name, tensor in model.named_parameters():
        if ".lora_" not in name:
            plain = name.removeprefix("module.").removeprefix("base_model.model.")
            yield plain.replace(".base_layer.", "."), tensor
