"""A run's configuration as plain JSON that any database can hold, without its credentials."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

# The file in a run's folder from which a worker knows its base model and task.
RECIPE_FILE = "recipe.yaml"
MOST_DEEP = 32  # well below what the monitor takes (`cusp.wire.MAX_DEPTH`)
MOST_BYTES = 512 << 10  # a proxy before the monitor may let no more than 1 MiB by
MOST_BITS = 1_000  # of an integer; JSON readers stop at some 4,300 digits
LEFT_OUT = "(left out by Cusp)"  # the key under which a cut config names what it lacks

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
    if isinstance(value, int) and value.bit_length() > MOST_BITS:
        return f"an integer of {value.bit_length()} bits"
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    return _text(value)


def _text(value: Any) -> str:
    try:
        text = str(value)
    except Exception:  # whatever an object of the user's raises must not end his training
        text = f"<{type(value).__name__}>"
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def cut(
    config: Mapping[str, Any], most_bytes: int = MOST_BYTES
) -> tuple[dict[str, Any], list[str]]:
    """Return a storable config that is at most so long as JSON, and the keys that were left out for it.

    The smallest entries stay. Of an object that is too long a part stays, too; the config says under
    `LEFT_OUT` what it lacks.

    >>> cut({"lr": 0.1, "data": {"rows": "x" * 900, "split": "train"}}, 200)
    ({'lr': 0.1, 'data': {'split': 'train'}, '(left out by Cusp)': ['data.rows (902 bytes)']}, ['data.rows'])
    """
    if _size(config) <= most_bytes:
        return dict(config), []
    gone: list[tuple[str, int]] = []
    kept = _cut(config, most_bytes * 3 // 4, "", gone)
    gone.sort(key=lambda one: -one[1])
    named = [f"{name[:100]} ({size:,} bytes)" for name, size in gone[:20]]
    if len(gone) > len(named):
        named.append(f"and {len(gone) - len(named):,} more")
    return {**kept, LEFT_OUT: named}, [name for name, _ in gone]


def _cut(
    config: Mapping[str, Any], room: int, place: str, gone: list[tuple[str, int]]
) -> dict[str, Any]:
    sizes = {key: _size(key) + _size(value) + 4 for key, value in config.items()}
    kept: dict[str, Any] = {}
    for key in sorted(config, key=lambda one: sizes[one]):
        value = config[key]
        if sizes[key] > room and isinstance(value, dict) and room > 100:
            value = _cut(value, room - 100, f"{place}{key}.", gone)
            if not value:
                continue
        elif sizes[key] > room:
            gone.append((f"{place}{key}", _size(value)))
            continue
        kept[key] = value
        room -= _size(key) + _size(value) + 4
    return {key: kept[key] for key in config if key in kept}


def _size(value: Any) -> int:
    return len(json.dumps(value))
