"""Reads tensor names and shapes from safetensors headers, without loading weights or opening a pickle."""

import json
import math
from pathlib import Path

from cusp.errors import CuspError

ADAPTER = "adapter_model.safetensors"
GATHER = (
    "with DeepSpeed ZeRO-3 or FSDP the parts must be gathered when saving"
    " (stage3_gather_16bit_weights_on_model_save)"
)
_LARGEST_HEADER = 100 << 20
_LENGTH = 8

Shape = tuple[int, ...]


class WeightsError(CuspError, ValueError):
    """A weights file is empty, truncated or not a safetensors file."""


def problem(path: Path) -> str | None:
    """Return why the weights in a checkpoint's folder cannot be scored or served, or None."""
    files = [
        file
        for file in (path / ADAPTER, *sorted(path.glob("model*.safetensors")))
        if file.is_file()
    ]
    if not files:
        pickled = [*path.glob("adapter_model.bin"), *path.glob("pytorch_model*.bin")]
        found = f"{pickled[0].name} is a pickle, which is never opened" if pickled else "no weights"
        return f"it holds no {ADAPTER} and no model*.safetensors ({found}); save in safetensors"
    try:
        tensors = [shape for file in files for shape in shapes(file).values()]
    except WeightsError as error:
        return str(error)
    if not any(math.prod(shape) for shape in tensors):
        return f"{files[0].name} holds no numbers; {GATHER}"
    return None


def shapes(file: Path) -> dict[str, Shape]:
    """Return the shape of every tensor in a safetensors file by name.

    WeightsError when it is truncated, has trailing bytes or another format.
    """
    try:
        with file.open("rb") as opened:
            length = int.from_bytes(opened.read(_LENGTH), "little")
            size = file.stat().st_size
            if size < _LENGTH or length > min(_LARGEST_HEADER, size - _LENGTH):
                raise WeightsError(f"{file} is cut off or no safetensors file ({size} bytes)")
            header = json.loads(opened.read(length))
        found = {str(n): each for n, each in header.items() if n != "__metadata__"}
        read = {name: tuple(int(part) for part in each["shape"]) for name, each in found.items()}
        ends = max((int(each["data_offsets"][1]) for each in found.values()), default=0)
    except OSError as error:
        raise WeightsError(f"{file} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(f"{file} has a header that is none of safetensors") from error
    if _LENGTH + length + ends != size:
        raise WeightsError(
            f"{file} is {size} bytes, where its header tells of {_LENGTH + length + ends}: it is cut off"
        )
    return read
