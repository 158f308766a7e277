"""Partial validation of wire objects: repairs or drops invalid parts and keeps the rest.

A text that is too long is cut, a list or object with too many entries is truncated, an unknown field of a
newer peer is ignored, and any other invalid value with a default is dropped. An object that needs its
invalid value is rejected as a whole.
"""

import reprlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from cusp.protocol.fields import storable_text

ROUNDS = 4  # a repaired value may still be invalid, so validation is repeated
MOST_PROBLEMS = 100  # repaired one by one below one field; a field with more is dropped
DEEPEST = 4  # deepest path of a repaired value: metadata, roles, the role, the number
# Without these the rest would have another meaning.
NEEDED = ("v", "kind", "state", "status", "path")
# A policy of a newer client that is unknown here must not stop a training, nor cost GPU time.
INSTEAD: Mapping[tuple[str, ...], Any] = {
    ("policy",): {"action": "watch"},
    ("policy", "action"): "watch",
    ("policy", "evaluate"): "none",
    ("policy", "verify"): "off",
}
M = TypeVar("M", bound=BaseModel)


class Part(NamedTuple):
    """A rejected part: the kind of fault, its path, and the reason as a sentence."""

    kind: str
    name: str
    reason: str
    value: Any = None


class Salvaged(NamedTuple):
    """The valid rest of an object; `refused` are the invalid parts, `unknown` the ignored field names."""

    model: Any
    refused: tuple[Part, ...]
    unknown: tuple[str, ...]


def salvaged(model: type[M], raw: Mapping[str, Any]) -> Salvaged:
    """Return the object in `raw` without its invalid parts; ValidationError when it cannot be repaired.

    The error is that of the whole object as it was sent.
    """
    try:
        return Salvaged(model.model_validate(raw), (), ())
    except ValidationError as error:
        first = error
    mended: Any = _copied(raw, DEEPEST)
    refused: list[Part] = []
    unknown: list[str] = []
    problem = first
    for _ in range(ROUNDS):
        # Last to first: removing a list entry must not shift the indices of other problems.
        for one in reversed(_few(problem.errors(include_url=False))):
            _mend(mended, one, refused, unknown, first)
        try:
            found = model.model_validate(mended)
        except ValidationError as error:
            problem = error
        else:
            return Salvaged(found, tuple(refused), tuple(sorted(set(unknown))))
    raise first


def _few(problems: list[Any]) -> list[Any]:
    """Return the problems, merging those of a field with more than `MOST_PROBLEMS` into one."""
    fields = Counter(one["loc"][:2] for one in problems)
    many = {place for place, count in fields.items() if count > MOST_PROBLEMS}
    if not many:
        return problems
    few = [one for one in problems if one["loc"][:2] not in many]
    message = "has too many wrong entries"
    return few + [
        {"type": "many", "loc": place, "msg": message, "input": "..."} for place in sorted(many)
    ]


def _copied(value: Any, depth: int) -> Any:
    """Return a copy of lists and objects down to `depth`; deeper parts are shared, not copied."""
    if depth < 0:
        return value
    if isinstance(value, Mapping):
        return {key: _copied(one, depth - 1) for key, one in value.items()}
    return [_copied(one, depth - 1) for one in value] if isinstance(value, list) else value


def _mend(
    raw: Any, problem: Any, refused: list[Part], unknown: list[str], first: ValidationError
) -> None:
    """Cut, clean or drop the value of a problem; raise `first` if the value is required."""
    place = [part for part in problem["loc"] if part != "[key]"][:DEEPEST]
    if problem["type"] == "missing":
        place = place[:-1]
    if not place or (len(place) == 1 and place[0] in NEEDED):
        raise first
    holder = _at(raw, place[:-1])
    name = ".".join(map(str, place))
    if holder is None or not _has(holder, place[-1]):
        return  # already removed with another problem
    value = holder[place[-1]]
    if problem["type"] == "extra_forbidden":
        unknown.append(name)
        del holder[place[-1]]
        return
    instead, done = _instead(place, value, problem)
    if done == "left out":
        del holder[place[-1]]
    else:
        holder[place[-1]] = instead
    refused.append(Part("field", name, f"{_said(name, problem)}; {done}", value))


def _instead(place: Sequence[Any], value: Any, problem: Any) -> tuple[Any, str]:
    """Return the replacement of a value, and a description of the change."""
    if problem["loc"][-1] == "[key]":
        return None, "left out"
    most: int = (problem.get("ctx") or {}).get("max_length", 0)
    if problem["type"] == "string_too_long" and isinstance(value, str):
        return value[: most - 1] + "…", f"cut to {most:,} characters"
    if problem["type"] == "too_long" and isinstance(value, list):
        return value[:most], f"only the first {most} are taken"
    if problem["type"] == "too_long" and isinstance(value, dict):
        return dict(list(value.items())[:most]), f"only the first {most} are taken"
    if problem["type"] in ("value_error", "string_unicode") and isinstance(value, str):
        clean = storable_text(value)
        if clean != value:
            return clean, "cleaned"
    if tuple(place) in INSTEAD:
        return INSTEAD[tuple(place)], f"taken as {INSTEAD[tuple(place)]!r}"
    return None, "left out"


def _said(name: str, problem: Any) -> str:
    shown = reprlib.repr(problem.get("input"))  # the value may be of any depth and length
    return f"{name[:200]}: {problem['msg']} (got {shown:.80})"


def _at(raw: Any, place: Sequence[Any]) -> Any:
    for part in place:
        if not _has(raw, part):
            return None
        raw = raw[part]
    return raw


def _has(holder: Any, part: Any) -> bool:
    if isinstance(holder, dict):
        return part in holder
    return isinstance(holder, list) and isinstance(part, int) and part < len(holder)
