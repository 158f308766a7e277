"""Read a training log from a file: CSV, TSV, JSON Lines, a JSON array or `trainer_state.json`.

Columns may have the names of any dialect that `cusp.names` knows. A step that occurs more than once
(a resume; several rows a step) is merged, and where both rows have a value the later one counts. An
empty cell, NaN and infinity mean "not measured". `.gz` files are read as what is in them.
"""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from cusp.names import CANONICAL, canonical_name
from monitor.detect import Sample

STEP_NAMES = ("step", "global_step", "_step", "train/global_step", "trainer/global_step")
USED = ("format_reward", "completion_length", "accuracy_reward", "entropy", "clipped_ratio")
"""What the detector reads; a file with none of it cannot be judged."""

_EMPTY = frozenset(
    {"", "nan", "none", "null", "na", "n/a", "-", "inf", "-inf", "infinity", "-infinity", "no log"}
)
_FURTHEST = 2**53  # a larger step is no exact number in JSON


class LogError(ValueError):
    """A log that cannot be read: one sentence with file, line, column and the way out."""


@dataclass(frozen=True)
class Log:
    """What one file says: samples, steps increasing, and what it knows of the run beside them."""

    samples: tuple[Sample, ...]
    save_steps: int | None = None
    max_steps: int | None = None
    rows_without_step: int = 0


@dataclass(frozen=True)
class _Row:
    """One row of a file with the place that errors name."""

    place: str
    values: Mapping[str, object]


def read_log(path: Path) -> Log:
    """Return the log in `path`. Raises LogError for anything that is not exactly right."""
    text = _text(path)
    if not text.strip():
        raise LogError(f"{path} is empty; give a CSV, JSONL or trainer_state.json with a log in it")
    name = path.name.removesuffix(".gz").lower()
    if text.lstrip()[0] not in "[{":
        return _log(path, _csv_rows(path, text, name))
    whole = _whole_json(path, text, lines=name.endswith((".jsonl", ".ndjson")))
    if whole is None:
        return _log(path, _jsonl_rows(path, text))
    return _document(path, whole)


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
        if raw[:2] == b"\x1f\x8b":
            raw = gzip.decompress(raw)
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LogError(
            f"{path} is no text (byte {error.start} is not UTF-8); give a CSV, JSONL or"
            " trainer_state.json"
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise LogError(f"{path} cannot be read ({reason}); check the path") from None


def _whole_json(path: Path, text: str, *, lines: bool) -> object | None:
    """Return the file as one JSON document, None if it is JSON Lines."""
    if lines:
        return None
    try:
        return json.loads(text)  # type: ignore[no-any-return]
    except ValueError as error:
        if text.lstrip().startswith("{") and _is_object(text.lstrip().splitlines()[0]):
            return None
        line = getattr(error, "lineno", 1)
        raise LogError(
            f"{path}, line {line}: this is no JSON ({error}); repair it, or give a CSV"
        ) from None


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _document(path: Path, whole: object) -> Log:
    """A `trainer_state.json`, an array of rows, or a single row."""
    if isinstance(whole, dict) and "log_history" in whole:
        log = _log(path, _json_rows(path, whole["log_history"], "entry {} of log_history"))
        return Log(
            log.samples,
            _count(whole, "save_steps"),
            _count(whole, "max_steps"),
            log.rows_without_step,
        )
    rows = whole if isinstance(whole, list) else [whole]
    return _log(path, _json_rows(path, rows, "entry {}"))


def _count(state: Mapping[str, object], name: str) -> int | None:
    value = state.get(name)
    return value if isinstance(value, int) and value >= 1 else None


def _json_rows(path: Path, rows: object, place: str) -> Iterator[_Row]:
    if not isinstance(rows, list):
        raise LogError(f"{path}: log_history is no list; give the trainer_state.json as written")
    for number, row in enumerate(rows, 1):
        yield _Row(place.format(number), _object(path, place.format(number), row))


def _jsonl_rows(path: Path, text: str) -> Iterator[_Row]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError as error:
                raise LogError(
                    f"{path}, line {number}: this is no JSON ({error}); repair or remove the line"
                ) from None
            yield _Row(f"line {number}", _object(path, f"line {number}", row))


def _object(path: Path, place: str, row: object) -> Mapping[str, object]:
    if not isinstance(row, dict):
        raise LogError(
            f'{path}, {place}: expected an object such as {{"step": 1, ...}}, found'
            f" {json.dumps(row)[:40]}"
        )
    inner = row.get("data")  # verl's file logger: {"step": 1, "data": {...}}
    return {**row, **inner} if isinstance(inner, dict) else row


def _csv_rows(path: Path, text: str, name: str) -> Iterator[_Row]:
    header = text.lstrip().splitlines()[0]
    candidates = "\t" if name.endswith(".tsv") else ",;\t"
    reader = csv.reader(io.StringIO(text), delimiter=max(candidates, key=header.count))
    columns: list[str] = []
    try:
        for cells in reader:
            if not columns:
                columns = [cell.strip() for cell in cells]
                _check_columns(path, columns)
            elif any(cell.strip() for cell in cells):
                yield _Row(f"line {reader.line_num}", _cells(path, reader.line_num, columns, cells))
    except csv.Error as error:
        raise LogError(
            f"{path}, line {reader.line_num}: this is no CSV ({error}); export it again"
        ) from None


def _check_columns(path: Path, columns: list[str]) -> None:
    if not any(_is_step(column) for column in columns):
        shown = ", ".join(columns[:12]) + (", ..." if len(columns) > 12 else "")
        raise LogError(
            f"{path}, line 1: there is no column `step` (found: {shown}); name the column of the"
            " optimiser step `step`"
        )


def _cells(path: Path, line: int, columns: list[str], cells: list[str]) -> dict[str, object]:
    if len(cells) > len(columns):
        raise LogError(
            f"{path}, line {line}: {len(cells)} cells under {len(columns)} columns; quote cells that"
            " hold the separator"
        )
    return dict(zip(columns, cells, strict=False))


def _is_step(name: str) -> bool:
    return name.lower() in STEP_NAMES


def _log(path: Path, rows: Iterable[_Row]) -> Log:
    merged: dict[int, dict[str, float]] = {}
    without = 0
    names: set[str] = set()
    for row in rows:
        names.update(row.values)
        step = _step(path, row)
        if step is None:
            without += 1
        else:
            merged.setdefault(step, {}).update(_metrics(path, row))
    samples = tuple(Sample(step, merged[step]) for step in sorted(merged))
    _check(path, samples, names, without)
    return Log(samples, rows_without_step=without)


def _check(path: Path, samples: tuple[Sample, ...], names: set[str], without: int) -> None:
    if not samples:
        why = f"none of its {without} rows has a `step`" if without else "it has no rows"
        raise LogError(f"{path}: {why}; each row needs the optimiser step under the name `step`")
    if not any(name in sample.metrics for sample in samples for name in USED):
        found = ", ".join(islice(sorted(n for n in names if not _is_step(n)), 12)) or "nothing else"
        raise LogError(
            f"{path}: no value of a metric that Cusp knows (found: {found}); name the columns"
            " format_reward, completion_length and, if there, accuracy_reward and entropy"
        )


def _step(path: Path, row: _Row) -> int | None:
    for name, value in row.values.items():
        if _is_step(name):
            number = _number(value)
            if number is None and _absent(value):
                continue
            if number is None or number != int(number) or not 0 <= number <= _FURTHEST:
                raise LogError(
                    f"{path}, {row.place}, column {name}: {_shown(value)} is no step; steps are whole"
                    " numbers from 0 on"
                )
            return int(number)
    return None


def _metrics(path: Path, row: _Row) -> dict[str, float]:
    """Return the row's finite values under canonical names; the canonical spelling wins."""
    found: dict[str, float] = {}
    for name, value in sorted(row.values.items(), key=lambda item: item[0] in CANONICAL):
        if _is_step(name) or _absent(value):
            continue
        ours = canonical_name(name)
        number = _number(value)
        if number is not None:
            found[ours] = number
        elif ours in USED:
            raise LogError(
                f"{path}, {row.place}, column {name}: {_shown(value)} is no number; leave the cell"
                " empty where nothing was measured"
            )
    return found


def _absent(value: object) -> bool:
    """Return whether the cell says that nothing was measured."""
    if isinstance(value, str):
        return value.strip().lower() in _EMPTY
    return value is None or (isinstance(value, float) and value - value != 0.0)


def _number(value: object) -> float | None:
    """Return a finite number, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if number - number == 0.0 else None


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
