"""All rows of a run's evaluations as CSV, JSON lines or Parquet, written a portion at a time."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from monitor.errors import Conflict

# name -> Arrow type, in the order of the columns
COLUMNS: Mapping[str, str] = {
    "run_id": "string",
    "evaluation_id": "string",
    "checkpoint_id": "string",
    "step": "int64",
    "task": "string",
    "split": "string",
    "source": "string",
    "preset": "string",
    "engine": "string",
    "problem_id": "string",
    "sample": "int32",
    "score": "double",
    "tokens": "int32",
    "finish_reason": "string",
    "seed": "int64",
    "answer": "string",
    "text": "string",
}
MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}
# A spreadsheet takes a cell that begins so as a formula (OWASP, "CSV Injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
Portions = Iterable[list[dict[str, Any]]]


def exported(evaluation: Any, row: Any) -> dict[str, Any]:
    """Return a line of an export: a row, and which evaluation it is of."""
    of_head = ("run_id", "checkpoint_id", "step", "task", "split", "source")
    of_row = ("problem_id", "sample", "score", "tokens", "finish_reason", "seed", "answer", "text")
    return {
        **{name: getattr(evaluation, name) for name in of_head},
        **{name: evaluation.scores.get(name) for name in ("preset", "engine")},
        "evaluation_id": evaluation.id,
        **{name: getattr(row, name) for name in of_row},
    }


def writer(kind: str) -> Callable[[Portions], Iterator[bytes]]:
    """Return what writes portions of lines in this format; Conflict where Parquet needs a package."""
    if kind == "parquet":
        need_pyarrow("csv and jsonl work without")
    return {"csv": _csv, "jsonl": _jsonl, "parquet": _parquet}[kind]


def need_pyarrow(otherwise: str) -> None:
    """Raise Conflict where the monitor has no pyarrow, which is no requirement of it."""
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise Conflict(
            f"Parquet needs pyarrow at the monitor (pip install pyarrow); {otherwise}"
        ) from None


def _csv(portions: Portions) -> Iterator[bytes]:
    text = io.StringIO(newline="")
    lines = csv.DictWriter(text, list(COLUMNS), lineterminator="\r\n")
    lines.writeheader()
    for portion in portions:
        lines.writerows({name: inert(value) for name, value in line.items()} for line in portion)
        yield drained(text)
    yield drained(text)


def drained(text: io.StringIO) -> bytes:
    """Return what was written since the last call, and forget it."""
    found = text.getvalue().encode()
    text.seek(0)
    text.truncate()
    return found


def inert(value: Any) -> Any:
    """Return the value of a cell, a text so that no spreadsheet takes it as a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _jsonl(portions: Portions) -> Iterator[bytes]:
    for portion in portions:
        for line in portion:
            ordered = {name: line[name] for name in COLUMNS}
            yield json.dumps(ordered, ensure_ascii=False).encode() + b"\n"


def _parquet(portions: Portions) -> Iterator[bytes]:
    import pyarrow
    from pyarrow import parquet

    schema = pyarrow.schema([(name, kind) for name, kind in COLUMNS.items()])
    sink = Drained()
    with parquet.ParquetWriter(sink, schema) as lines:
        for portion in portions:
            lines.write_table(pyarrow.Table.from_pylist(portion, schema=schema))
            yield sink.taken()
    yield sink.taken()


class Drained(io.RawIOBase):
    """A file that only grows: what was written is taken away, and its position goes on."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._position = 0

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, part: Any) -> int:
        """Take a part."""
        made = bytes(part)
        self._parts.append(made)
        self._position += len(made)
        return len(made)

    def tell(self) -> int:
        """Return how much was written."""
        return self._position

    def taken(self) -> bytes:
        """Return what was written since the last time."""
        made, self._parts = b"".join(self._parts), []
        return made
