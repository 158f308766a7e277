"""Keys of a run's configuration, as columns of the runs table name them. Pure."""

import json
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


def value_text(config: Mapping[str, Any], key: str) -> str:
    """Return the value of a dotted key as text, `not set` where there is none.

    >>> value_text({"optim": {"lr": 1e-5}}, "optim.lr"), value_text({"a.b": 1}, "a.b"), value_text({}, "x")
    ('1e-05', '1', 'not set')
    """
    if key in config:
        return _text(config[key])
    found: Any = config
    for part in key.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return "not set"
        found = found[part]
    return _text(found)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
