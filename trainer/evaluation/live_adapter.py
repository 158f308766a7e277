"""The adapter of a training, holding an earlier checkpoint's weights for a while.

Its tensors are overwritten in place and copied back, bit by bit: the optimizer, the distributed wrapper and
every hook hold the same tensors before and after.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import get_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file

from cusp.checkpoints import manifest
from cusp.checkpoints.safetensors_header import ADAPTER
from trainer.evaluation.adapters import AdapterError, check_names, read


@contextmanager
def weights_of(model: Any, checkpoint: Path | None) -> Iterator[None]:
    """Let a PEFT model have the adapter of a checkpoint; None: its own.

    Raises CheckpointError for a file that does not match its manifest, and AdapterError for tensors that do not
    fit, both before anything is changed.
    """
    if checkpoint is None:
        yield
        return
    live = get_peft_model_state_dict(model, save_embedding_layers=False)
    check_fits(checkpoint, model)
    found = _read(checkpoint)
    with torch.no_grad():
        own = {name: tensor.clone() for name, tensor in live.items()}
        try:
            for name, tensor in live.items():
                tensor.copy_(found[name])
            yield
        finally:
            for name, tensor in live.items():
                tensor.copy_(own[name])


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Put a model into evaluation mode, and each of its modules back into its own mode at the end."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def check_fits(checkpoint: Path, model: Any) -> None:
    """Raise CheckpointError or AdapterError unless a checkpoint is whole and its adapter is one of the model."""
    manifest.verify(checkpoint)
    live = get_peft_model_state_dict(model, save_embedding_layers=False)
    _, shapes = read(checkpoint)
    check_names(checkpoint, shapes, live, model.state_dict())
    for name, tensor in live.items():
        if tuple(tensor.shape) != tuple(shapes[name]):
            raise AdapterError(
                f"{name} in {checkpoint} is {list(shapes[name])} and in the training"
                f" {list(tensor.shape)}: it is of another LoRA rank or model"
            )


def _read(checkpoint: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(checkpoint / ADAPTER, device="cpu")
    except (OSError, SafetensorError) as error:
        raise AdapterError(f"{checkpoint / ADAPTER} cannot be read ({error})") from error
