"""Values of a run's configuration by the dotted keys that columns of the runs table have. Pure."""

import json
from collections.abc import Mapping
from typing import Any


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
