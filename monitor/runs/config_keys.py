"""Keys of a run's configuration, as columns of the runs table name them. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any


def leaves(config: Mapping[str, Any], before: str = "") -> Iterator[str]:
    """Yield the dotted keys of the values that are no objects.

    >>> list(leaves({"lr": 1, "model": {"name": "x", "lora": {"r": 8}}}))
    ['lr', 'model.name', 'model.lora.r']
    """
    waiting = [(before, config)]
    while waiting:
        prefix, found = waiting.pop(0)
        for key, value in found.items():
            if isinstance(value, Mapping) and value:
                waiting.append((f"{prefix}{key}.", value))
            else:
                yield f"{prefix}{key}"
