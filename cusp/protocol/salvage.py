"""Taking what can be taken of an object of the wire: only the wrong part of it is left out.

A text that is too long is cut, a list or object with too many entries ends at its limit, an unknown
field of a newer peer is ignored, and any other wrong value that has a default is dropped. What cannot
do without its wrong value is refused as a whole.
"""

import reprlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from cusp.protocol.fields import storable_text

ROUNDS = 4  # a mended value may still be wrong, and what lies below a dropped one is looked at anew
MOST_PROBLEMS = 100  # mended one by one below one field; beyond that the field is dropped
DEEPEST = 4  # place of a problem that is mended: metadata, roles, the role, the number
# Without these the rest would mean something else than what was sent.
NEEDED = ("v", "kind", "state", "status", "path")
# A policy of a newer client that is unknown here must not stop a training, nor cost GPU time.
INSTEAD: Mapping[tuple[str, ...], Any] = {
    ("policy",): {"action": "watch"},
    ("policy", "action"): "watch",
    ("policy", "evaluate"): "none",
}
M = TypeVar("M", bound=BaseModel)


class Part(NamedTuple):
    """A part that could not be taken: what is wrong with it in a word, where, and in a sentence."""

    kind: str
    name: str
    reason: str
    value: Any = None


class Salvaged(NamedTuple):
    """What could be taken; `refused` are the wrong parts, `unknown` the names of ignored fields."""

    model: Any
    refused: tuple[Part, ...]
    unknown: tuple[str, ...]


def salvaged(model: type[M], raw: Mapping[str, Any]) -> Salvaged:
    """Return the object in `raw` without what is wrong in it; ValidationError when nothing is left.

    The error is that of the whole object, as it was sent.
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
        # From the last to the first, so that an entry of a list that goes does not move the others.
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
    """Return the problems; those of a field that has too many as one with the whole field."""
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
    """Return a copy of lists and objects so deep; what lies deeper may be too deep to copy."""
    if depth < 0:
        return value
    if isinstance(value, Mapping):
        return {key: _copied(one, depth - 1) for key, one in value.items()}
    return [_copied(one, depth - 1) for one in value] if isinstance(value, list) else value


def _mend(
    raw: Any, problem: Any, refused: list[Part], unknown: list[str], first: ValidationError
) -> None:
    """Cut, clean or drop the value that a problem is about; raise `first` if it is needed."""
    place = [part for part in problem["loc"] if part != "[key]"][:DEEPEST]
    if problem["type"] == "missing":
        place = place[:-1]
    if not place or (len(place) == 1 and place[0] in NEEDED):
        raise first
    holder = _at(raw, place[:-1])
    name = ".".join(map(str, place))
    if holder is None or not _has(holder, place[-1]):
        return  # went with something else
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
    """Return what is taken instead of a value, and what was done in words."""
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
    shown = reprlib.repr(problem.get("input"))  # of any depth and length
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
