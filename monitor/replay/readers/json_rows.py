"""Reader of JSON: `trainer_state.json`, an array of rows, JSON Lines."""

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path

from monitor.replay.readers.kinds import json_kind
from monitor.replay.readers.rows import LogError, Row, Rows

# str.splitlines() would cut strings of JSON, too, at U+2028, U+2029 and U+0085.
_LINE_END = re.compile(r"\r\n?|\n")
_FEW = 10  # one line of ten may be broken (a kill during a write, then a resume)


def whole_json(path: Path, text: str, *, lines: bool) -> object | None:
    """Return the file as one JSON document, None if it is JSON Lines or not JSON."""
    if lines:
        return None
    try:
        return json.loads(text)  # type: ignore[no-any-return]
    except ValueError as error:
        first = _LINE_END.split(text.lstrip(), maxsplit=1)[0]
        if is_object(first) or not _is_json_like(text):
            return None
        line = getattr(error, "lineno", 1)
        raise LogError(
            f"{path}, line {line}: this is no JSON ({error}), it may be half written; repair it, or"
            " give a CSV"
        ) from None


def is_object(line: str) -> bool:
    """Return whether the line is one JSON object."""
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _is_json_like(text: str) -> bool:
    """Return whether a text starts like JSON rather than like a printed Python dict."""
    start = text.lstrip()[:200].replace(" ", "").replace("\n", "")
    return start.startswith(('{"', '[{"', "[[", "{}", "[]", "[1", "[0"))


def document_rows(path: Path, whole: object) -> Rows:
    """Return the rows of a `trainer_state.json`, an array of rows, or a single row."""
    if isinstance(whole, dict) and "log_history" in whole:
        max_steps = _count(whole, "max_steps", None)
        return Rows(
            _listed(path, whole["log_history"], "entry {} of log_history"),
            save_steps=_count(whole, "save_steps", max_steps),
            max_steps=max_steps,
        )
    if isinstance(whole, dict) and (kind := json_kind(whole)):
        raise LogError(f"{path} is {kind}")
    rows = whole if isinstance(whole, list) else [whole]
    return Rows(_listed(path, rows, "entry {}"))


def line_rows(path: Path, text: str) -> Rows:
    """Return the rows of JSON Lines.

    A broken last line, and few broken lines among many, as a kill leaves them, are left out with a note.
    """
    rows: list[Row] = []
    broken: list[tuple[int, str]] = []
    lines = [(n, line) for n, line in enumerate(_LINE_END.split(text), 1) if line.strip()]
    for number, line in lines:
        try:
            row = json.loads(line)
        except ValueError as error:
            broken.append((number, str(error)))
        else:
            rows.append(Row(f"line {number}", _object(path, f"line {number}", row)))
    if not broken:
        return Rows(tuple(rows))
    number, why = broken[0]
    cut_off = [number] == [lines[-1][0]] and not text.endswith("\n")
    if not cut_off and len(broken) * _FEW > len(lines):
        raise LogError(f"{path}, line {number}: this is no JSON ({why}); repair or remove the line")
    which = (
        f"the last line ({number}) is"
        if cut_off
        else f"{len(broken)} lines (the first: {number}) are"
    )
    return Rows(tuple(rows), (f"{which} only half written and left out",))


def _listed(path: Path, rows: object, place: str) -> tuple[Row, ...]:
    if not isinstance(rows, list):
        raise LogError(f"{path}: log_history is no list; give the trainer_state.json as written")
    return tuple(
        Row(place.format(number), _object(path, place.format(number), row))
        for number, row in enumerate(rows, 1)
    )


def _object(path: Path, place: str, row: object) -> Mapping[str, object]:
    if not isinstance(row, dict):
        raise LogError(
            f'{path}, {place}: expected an object such as {{"step": 1, ...}}, found'
            f" {json.dumps(row)[:40]}"
        )
    inner = row.get("data")  # verl's file logger: {"step": 1, "data": {...}}
    return {**row, **inner} if isinstance(inner, dict) else row


def _count(state: Mapping[str, object], name: str, whole: int | None) -> int | None:
    """Return a number of steps; a fraction of the whole training (as in transformers) is converted."""
    value = state.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if 0 < value < 1 and whole:
        return math.ceil(whole * value)
    return int(value) if value >= 1 and value == int(value) else None
