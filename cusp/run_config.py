"""A run's configuration as plain JSON that any database can store, without credentials."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

# In a run's folder; gives a worker the base model and the task.
RECIPE_FILE = "recipe.yaml"
MOST_DEEP = 32  # half of the monitor's limit (`cusp.protocol.fields.MAX_DEPTH`)
MOST_BYTES = 512 << 10  # nginx passes 1 MiB by default (client_max_body_size)
MOST_VALUES = 100_000  # values of lists and objects; about as many as fit into MOST_BYTES
MOST_BITS = 1_000  # of an integer; JSON readers stop at some 4,300 digits
LEFT_OUT = "(left out by Cusp)"  # key under which a truncated config lists its missing entries

_SECRET = re.compile(r"token|secret|password|api_key|credential", re.IGNORECASE)


def storable_config(
    config: Mapping[Any, Any], *, most_deep: int = MOST_DEEP, most: int = MOST_VALUES
) -> dict[str, Any]:
    """Return the config with text keys; values that JSON cannot hold become text, secrets are left out.

    A key that looks like a credential keeps only numbers and booleans (`max_tokens`). Values deeper than
    `most_deep`, cycles, and everything after the first `most` values become `...`: objects that refer to
    each other may have exponentially many paths.

    >>> storable_config({"lr": 1e-6, "hub_token": "hf_x", "clip": float("inf"), 3: [{"api_key": "k"}]})
    {'lr': 1e-06, 'clip': 'inf', '3': [{}]}
    """
    return _Storing(most).mapping(config, most_deep - 1, frozenset())


def leaves(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield (dotted key, value) of what is no object, or an empty one, in the order of the config.

    >>> list(leaves({"lr": 1, "model": {"lora": {"r": 8}, "more": {}}}))
    [('lr', 1), ('model.lora.r', 8), ('model.more', {})]
    """
    waiting = [("", iter(config.items()))]
    while waiting:
        before, items = waiting[-1]
        for key, value in items:
            if isinstance(value, Mapping) and value:
                waiting.append((f"{before}{key}.", iter(value.items())))
                break
            yield f"{before}{key}", value
        else:
            waiting.pop()


class _Storing:
    """State of the recursive conversion of one config."""

    def __init__(self, most: int) -> None:
        self._left = most

    def mapping(
        self, config: Mapping[Any, Any], deep: int, around: frozenset[int]
    ) -> dict[str, Any]:
        around |= {id(config)}
        return {
            text_of(key): self._value(value, deep, around)
            for key, value in config.items()
            if not _SECRET.search(text_of(key)) or isinstance(value, int | float | bool)
        }

    def _value(self, value: Any, deep: int, around: frozenset[int]) -> Any:
        self._left -= 1
        if isinstance(value, Mapping | list | tuple | set | frozenset):
            if deep <= 0 or self._left < 0 or id(value) in around:
                return "..."
            if isinstance(value, Mapping):
                return self.mapping(value, deep - 1, around)
            around |= {id(value)}
            return [self._value(one, deep - 1, around) for one in value]
        return _storable(value)


def _storable(value: Any) -> Any:
    if isinstance(value, int) and value.bit_length() > MOST_BITS:
        return f"an integer of {value.bit_length()} bits"
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    return text_of(value)


def text_of(value: object) -> str:
    """Return a value as text that any database can store; its type's name if str() raises."""
    try:
        text = str(value)
    except Exception:  # a user's object may raise anything, which must not end the training
        text = f"<{type(value).__name__}>"
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def cut(
    config: Mapping[str, Any], most_bytes: int = MOST_BYTES
) -> tuple[dict[str, Any], list[str]]:
    """Return a storable config of at most `most_bytes` as JSON, and the keys that were left out.

    The smallest entries stay, also within an object that is too long; the config lists the missing ones
    under `LEFT_OUT`.

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
