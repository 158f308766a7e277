"""Reader of CSV and TSV files, including exports of W&B panels."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

from monitor.replay.readers.rows import STEP_NAMES, LogError, Row, Rows, clean_name, is_step

# W&B names the columns of a panel "<run> - <metric>", followed by minimum and maximum of a bucket.
_PANEL = re.compile(r"(?P<run>.+?) - (?P<metric>[^ ].*)")
_BUCKET_ENDS = ("__MIN", "__MAX")
_TENSORBOARD = ["wall time", "step", "value"]


def has_step_column(text: str, name: str) -> bool:
    """Return whether the first line of the text is a table header with a step column."""
    try:
        _, head = next(_cells(text, name), (0, []))
    except csv.Error:  # not CSV: the carriage returns of a progress bar
        return False
    return any(is_step(clean_name(cell)) for cell in head)


def delimited_rows(path: Path, text: str, name: str) -> Rows:
    """Return the rows of the table whose header is the first line. LogError names the line."""
    lines = _cells(text, name)
    try:
        _, head = next(lines)
        columns = [clean_name(cell) for cell in head]
        _check_columns(path, columns)
        columns, notes = _panel_columns(path, columns)
        found = [(number, cells) for number, cells in lines if any(cell.strip() for cell in cells)]
        if found and len(found[-1][1]) < len(columns) and not text.endswith(("\n", "\r")):
            number, _ = found.pop()
            notes += (f"the last line ({number}) is only half written; it was left out",)
        rows = tuple(_row(path, number, columns, cells) for number, cells in found)
    except csv.Error as error:
        raise LogError(f"{path}: this is no CSV ({error}); export it again") from None
    return Rows(rows, notes)


def _cells(text: str, name: str) -> Iterator[tuple[int, list[str]]]:
    header = text.lstrip().splitlines()[0]
    candidates = "\t" if name.endswith(".tsv") else ",;\t"
    reader = csv.reader(io.StringIO(text), delimiter=max(candidates, key=header.count))
    for cells in reader:
        yield reader.line_num, cells


def _row(path: Path, line: int, columns: list[str], cells: list[str]) -> Row:
    if len(cells) > len(columns):
        raise LogError(
            f"{path}, line {line}: {len(cells)} cells under {len(columns)} columns; quote cells that"
            " hold the separator"
        )
    named = dict(zip(columns, cells, strict=False))
    named.pop("", None)  # pandas writes its index without a name
    return Row(f"line {line}", named)


def _check_columns(path: Path, columns: list[str]) -> None:
    lower = [column.lower() for column in columns]
    if lower == _TENSORBOARD:
        raise LogError(
            f"{path} is TensorBoard's export of one scalar; put the scalars into one CSV with a column"
            " `step` and a column for each tag"
        )
    if not any(is_step(column) for column in columns):
        shown = ", ".join(columns[:12]) + (", ..." if len(columns) > 12 else "")
        raise LogError(
            f"{path}, line 1: there is no column `step` (found: {shown}); name the column of the"
            f" optimiser step `step` (or {', '.join(STEP_NAMES[:-1])})"
        )


def _panel_columns(path: Path, columns: list[str]) -> tuple[list[str], tuple[str, ...]]:
    """Return the columns of a single run's W&B panel as logged; other columns stay as they are."""
    found = {c: m for c in columns if not is_step(c) and (m := _PANEL.fullmatch(c))}
    others = [c for c in columns if c and c not in found and not is_step(c)]
    if not found or any(not other.lower().startswith("relative time") for other in others):
        return columns, ()
    runs = sorted({match["run"] for match in found.values()})
    if len(runs) > 1:
        raise LogError(
            f"{path} is a W&B panel of {len(runs)} runs ({', '.join(runs[:4])}); export one run, as"
            " points of several cannot be told apart"
        )
    named = [found[c]["metric"] if c in found else c for c in columns]
    kept = ["" if c.endswith(_BUCKET_ENDS) else clean_name(c) for c in named]
    return kept, (f"a W&B panel of the run {runs[0]!r}",)
