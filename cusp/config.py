"""A run's configuration as plain JSON that any database can hold, without its credentials."""

import math
import re
from collections.abc import Mapping
from typing import Any

# The file in a run's folder from which a worker knows its base model and task.
RECIPE_FILE = "recipe.yaml"

_SECRET = re.compile(r"token|secret|password|api_key|credential", re.IGNORECASE)


def storable_config(config: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the config with text keys; what JSON has no word for becomes text, secrets are left out.

    A key that looks like a credential keeps numbers and truth values (`max_tokens`), nothing else.

    >>> storable_config({"lr": 1e-6, "hub_token": "hf_x", "clip": float("inf"), 3: [{"api_key": "k"}]})
    {'lr': 1e-06, 'clip': 'inf', '3': [{}]}
    """
    return {
        _text(key): _storable(value)
        for key, value in config.items()
        if not _SECRET.search(str(key)) or isinstance(value, int | float | bool)
    }


def _storable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return storable_config(value)
    if isinstance(value, list | tuple | set | frozenset):
        return [_storable(one) for one in value]
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    return _text(value)


def _text(value: Any) -> str:
    return str(value).replace("\0", "").encode("utf-8", "replace").decode()
