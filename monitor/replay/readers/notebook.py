"""Reader of Jupyter notebooks: the trainer's HTML table, or its printed rows."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from monitor.replay.readers.console import console_rows
from monitor.replay.readers.html_tables import rows_omitted, step_tables
from monitor.replay.readers.rows import LogError, Row, Rows, is_step


def is_notebook(document: object) -> bool:
    """Return whether a JSON document is a notebook."""
    return isinstance(document, dict) and "cells" in document and "nbformat" in document


def notebook_rows(
    path: Path, document: Mapping[str, Any], table: int | None, logging_steps: int | None
) -> Rows:
    """Return the rows of the notebook's training.

    Tables whose steps continue the previous one are one training; otherwise the training with most rows is
    used unless `table` (from 1) selects one. LogError if there is none.
    """
    html: list[tuple[str, str]] = []
    printed: list[tuple[str, str]] = []
    for number, kind, text in _outputs(document):
        (html if kind == "html" else printed).append((f"cell {number}", text))
    tables = [rows for place, text in html for rows in step_tables(text, place)]
    if tables:
        omitted = any(rows_omitted(text) for _, text in html)
        return choose(path, tables, table, omitted=omitted)
    text = "\n".join(text for _, text in printed)
    if (found := console_rows(text, logging_steps)) is not None:
        return found
    raise LogError(
        f"{path} is a notebook without a training's output: no table with a column Step, no printed"
        " log; save it after the training ran"
    )


def choose(path: Path, tables: list[tuple[Row, ...]], table: int | None, *, omitted: bool) -> Rows:
    """Return the training in the tables, or the one that `table` selects."""
    trainings: list[tuple[Row, ...]] = []
    for rows in tables:
        if trainings and _step(rows[0]) > _step(trainings[-1][-1]):
            trainings[-1] += rows
        else:
            trainings.append(rows)
    count = len(trainings)
    notes: tuple[str, ...] = ()
    if table is not None and not 1 <= table <= count:
        raise LogError(f"{path} has {count} tables of steps; --table {table} is none of them")
    longest = max(range(count), key=lambda at: (len(trainings[at]), at))
    chosen = longest if table is None else table - 1
    if count > 1 and table is None:
        sizes = ", ".join(str(len(rows)) for rows in trainings)
        notes = (
            f"{count} tables of steps ({sizes} rows): table {chosen + 1} was read; --table N reads another",
        )
    if omitted:
        notes = (*notes, "the table leaves rows out (...): the middle of the training is missing")
    return Rows(trainings[chosen], notes)


def _step(row: Row) -> float:
    for name, value in row.values.items():
        if is_step(name):
            try:
                return float(str(value))
            except ValueError:
                return -1.0
    return -1.0


def _outputs(document: Mapping[str, Any]) -> Iterator[tuple[int, str, str]]:
    for number, cell in enumerate(document["cells"], 1):
        outputs = cell.get("outputs", ()) if isinstance(cell, dict) else ()
        for output in outputs if isinstance(outputs, list) else ():
            if not isinstance(output, dict):
                continue
            data = output.get("data")
            if isinstance(data, dict) and "text/html" in data:
                yield number, "html", _joined(data["text/html"])
            elif output.get("output_type") == "stream":
                yield number, "text", _joined(output.get("text", ""))


def _joined(text: object) -> str:
    return "".join(map(str, text)) if isinstance(text, list) else str(text)
