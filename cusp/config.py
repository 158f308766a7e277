"""A run's configuration as plain JSON that any database can hold, without its credentials."""

import math
import re
from collections.abc import Mapping
from typing import Any

# The file in a run's folder from which a worker knows its base model and task.
RECIPE_FILE = "recipe.yaml"
MOST_DEEP = 32  # well below what the monitor takes (`cusp.wire.MAX_DEPTH`)

_SECRET = re.compile(r"token|secret|password|api_key|credential", re.IGNORECASE)


def storable_config(config: Mapping[Any, Any], *, most_deep: int = MOST_DEEP) -> dict[str, Any]:
    """Return the config with text keys; what JSON has no word for becomes text, secrets are left out.

    A key that looks like a credential keeps numbers and truth values (`max_tokens`), nothing else.
    What lies deeper than `most_deep` (a config may hold itself) becomes `...`.

    >>> storable_config({"lr": 1e-6, "hub_token": "hf_x", "clip": float("inf"), 3: [{"api_key": "k"}]})
    {'lr': 1e-06, 'clip': 'inf', '3': [{}]}
    """
    return {
        _text(key): _storable(value, most_deep - 1)
        for key, value in config.items()
        if not _SECRET.search(str(key)) or isinstance(value, int | float | bool)
    }


def _storable(value: Any, left: int) -> Any:
    if isinstance(value, Mapping | list | tuple | set | frozenset) and left <= 0:
        return "..."
    if isinstance(value, Mapping):
        return storable_config(value, most_deep=left)
    if isinstance(value, list | tuple | set | frozenset):
        return [_storable(one, left - 1) for one in value]
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    return _text(value)


def _text(value: Any) -> str:
    return str(value).replace("\0", "").encode("utf-8", "replace").decode()
