"""Reads a problem and its solution out of a row of a table: by column, or by a path into one.

Tina's data sets have them in six ways (docs/reference/training-data.md); two columns say each of them.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

_MISSING = object()


def value_at(row: Mapping[str, Any], path: str) -> Any:
    """Return the value of a column, or of a dotted path through its objects, lists and JSON text.

    Raises LookupError, with what is there instead, if it leads nowhere.

    >>> row = {"messages": [{"content": "1+1"}], "info": '{"answer": {"value": 2}}', "a.b": 3}
    >>> value_at(row, "messages.0.content"), value_at(row, "info.answer.value"), value_at(row, "a.b")
    ('1+1', 2, 3)
    """
    if path in row:
        return row[path]
    here: Any = row
    done: list[str] = []
    for part in path.split("."):
        found = _inside(here, part)
        if found is _MISSING:
            place = f"{'.'.join(done)} has" if done else "it has"
            raise LookupError(f"no column {path!r}; {place} {_what_is_there(here)}")
        here = found
        done.append(part)
    return here


def _inside(here: Any, part: str) -> Any:
    if isinstance(here, str):
        try:
            here = json.loads(here)
        except ValueError:
            return _MISSING
    if isinstance(here, Mapping):
        return here.get(part, _MISSING)
    if isinstance(here, Sequence) and part.isdecimal() and int(part) < len(here):
        return here[int(part)]
    return _MISSING


def _what_is_there(here: Any) -> str:
    if isinstance(here, Mapping):
        return ", ".join(sorted(map(str, here))) or "nothing"
    if isinstance(here, str):
        return "text that is no JSON object"
    return f"{len(here)} items" if isinstance(here, Sequence) else f"the value {here!r:.40}"


def text_of_answer(value: Any) -> str:
    """Return an answer as text: a whole number without the `.0` that a table's column type gave it.

    >>> text_of_answer(7.0), text_of_answer("7.0"), text_of_answer(0.5)
    ('7', '7.0', '0.5')
    """
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
