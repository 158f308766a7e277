"""Reads a training log from a file of any supported format.

CSV, TSV, JSON Lines, JSON, `trainer_state.json`, a notebook, an HTML table, console output, the export of a
W&B panel. Columns may have the names of any dialect that `cusp.metrics` knows. Rows of one step (a resume;
several rows a step) are merged, and the later value counts. An empty cell, NaN and infinity mean "not
measured". `.gz` files are decompressed.
"""

import gzip
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from cusp.metrics import canonical_name, precedence
from cusp.roles.assign import assign
from cusp.roles.rules import SERIES, function_of, role_by_name
from monitor.detector import Sample
from monitor.replay.readers.console import console_rows
from monitor.replay.readers.delimited import delimited_rows, has_step_column
from monitor.replay.readers.html_tables import rows_omitted, step_tables
from monitor.replay.readers.json_rows import document_rows, line_rows, whole_json
from monitor.replay.readers.kinds import binary_kind, text_kind
from monitor.replay.readers.notebook import choose, is_notebook, notebook_rows
from monitor.replay.readers.rows import STEP_NAMES, LogError, Row, Rows, is_step, training_part

__all__ = ["USED", "Log", "LogError", "read_log"]

USED = ("format", "length", "accuracy", "entropy", "clipped")
"""The roles that the detector reads; a file with none of them cannot be judged."""
READ = frozenset(SERIES[role] for role in USED)

_EMPTY = frozenset(
    {"", "nan", "none", "null", "na", "n/a", "-", "inf", "-inf", "infinity", "-infinity", "no log"}
)
_FURTHEST = 2**53  # larger integers are not exact in JSON


@dataclass(frozen=True)
class Log:
    """Content of one file: samples with increasing steps, and further facts about the run.

    `notes` are sentences on omissions and assumptions.
    """

    samples: tuple[Sample, ...]
    save_steps: int | None = None
    max_steps: int | None = None
    rows_without_step: int = 0
    notes: tuple[str, ...] = ()


def read_log(
    path: Path,
    *,
    table: int | None = None,
    logging_steps: int | None = None,
    told: bool = False,
) -> Log:
    """Return the log in `path`; for a folder, its `trainer_state.json`.

    `table` selects one of several in a notebook or page, from 1. `logging_steps` is the number of steps
    between printed rows without a step. Unless the roles are `told`, some column must have one by its name.
    LogError describes the file and the way out.
    """
    if path.is_dir():
        path = _state_in(path)
    text = _text(path)
    if not text.strip():
        raise LogError(f"{path} is empty; give a CSV, JSONL or trainer_state.json with a log in it")
    name = path.name.removesuffix(".gz").lower()
    return _log(path, _rows(path, text, name, table, logging_steps), told=told)


def _state_in(folder: Path) -> Path:
    states = [folder / "trainer_state.json", *folder.glob("checkpoint-*/trainer_state.json")]
    there = [state for state in states if state.is_file()]
    if not there:
        raise LogError(f"{folder} is a folder without a trainer_state.json; give the log's file")
    return max(there, key=lambda state: state.stat().st_mtime)


def _rows(path: Path, text: str, name: str, table: int | None, logging_steps: int | None) -> Rows:
    if text.lstrip()[0] in "[{":
        whole = whole_json(path, text, lines=name.endswith((".jsonl", ".ndjson")))
        if isinstance(whole, dict) and is_notebook(whole):
            return notebook_rows(path, whole, table, logging_steps)
        if whole is not None:
            return document_rows(path, whole)
        if text.lstrip().startswith(('{"', '{ "', "[")):
            return line_rows(path, text)
    if "<table" in text and (tables := step_tables(text, "table")):
        return choose(path, tables, table, omitted=rows_omitted(text))
    if has_step_column(text, name):
        return delimited_rows(path, text, name)
    if (printed := console_rows(text, logging_steps)) is not None:
        return printed
    if kind := text_kind(text, name):
        raise LogError(f"{path} is {kind}")
    return delimited_rows(path, text, name)  # its error names the columns


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
        if raw[:2] == b"\x1f\x8b":
            raw = gzip.decompress(raw)
        if raw[:2] in (b"\xff\xfe", b"\xfe\xff") and len(raw) % 2 == 0:  # PowerShell's `>`
            return raw.decode("utf-16")
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        kind = binary_kind(raw) or (
            f"no text (byte {error.start} is not UTF-8); give a CSV, JSONL or trainer_state.json"
        )
        raise LogError(f"{path} is {kind}") from None
    except (OSError, EOFError, zlib.error) as error:
        if isinstance(error, OSError) and error.strerror:
            raise LogError(f"{path} cannot be read ({error.strerror}); check the path") from None
        raise LogError(f"{path} cannot be read ({error}); pack or copy it once more") from None


def _log(path: Path, found: Rows, *, told: bool) -> Log:
    rows = [part for row in found.rows if (part := training_part(row)) is not None]
    step_name = _step_name(rows)
    merged: dict[int, dict[str, float]] = {}
    without, max_steps = 0, found.max_steps
    for row in rows:
        step, last = _step(path, row, step_name)
        max_steps = max_steps or last
        if step is None:
            without += 1
        else:
            merged.setdefault(step, {}).update(_metrics(path, row))
    samples = tuple(Sample(step, merged[step]) for step in sorted(merged))
    _check(path, samples, {name for row in rows for name in row.values}, without, told=told)
    return Log(samples, found.save_steps, max_steps, without, _notes(found, rows, step_name))


def _notes(found: Rows, rows: Sequence[Row], step_name: str | None) -> tuple[str, ...]:
    notes = found.notes
    if apart := len(found.rows) - len(rows):
        one = "1 row of an evaluation or a summary is no step"
        many = f"{apart} rows of evaluations or summaries are no steps"
        notes = (*notes, f"{one if apart == 1 else many} of the training")
    if step_name == "_step":
        notes = (
            *notes,
            "steps are W&B's _step, which counts calls of its log, not optimiser steps",
        )
    return notes


def _step_name(rows: Iterable[Row]) -> str | None:
    """Return the column of the optimiser step in this file, by preference, or None."""
    there = {name.lower() for row in rows for name in row.values if is_step(name)}
    return next((name for name in STEP_NAMES if name in there), None)


def _check(
    path: Path, samples: tuple[Sample, ...], names: set[str], without: int, *, told: bool
) -> None:
    if not samples:
        why = f"none of its {without} rows has a `step`" if without else "it has no rows"
        raise LogError(f"{path}: {why}; each row needs the optimiser step under the name `step`")
    members = assign({name for sample in samples for name in sample.metrics}).members
    if not told and not any(role in members for role in USED):
        found = ", ".join(islice(sorted(n for n in names if not is_step(n)), 12)) or "nothing else"
        fine_tuning = names & {"token_acc", "mean_token_accuracy", "loss"} and not any(
            "reward" in name for name in names
        )
        empty = sorted(n for n in names if _is_read(n))
        if empty and not any(function_of(name) for sample in samples for name in sample.metrics):
            raise LogError(
                f"{path}: no cell under {', '.join(islice(empty, 12))} holds a number, and there is"
                " no other metric that Cusp knows"
            )
        kind = " It looks like supervised fine-tuning, which has no reward." if fine_tuning else ""
        raise LogError(
            f"{path}: no value of a metric that Cusp knows (found: {found}); tell which is"
            " what with --role format=COLUMN, or name the columns format_reward, completion_length and,"
            f" if there, accuracy_reward and entropy.{kind}"
        )


def _step(path: Path, row: Row, step_name: str | None) -> tuple[int | None, int | None]:
    """Return the row's step, and the training's last step if the cell has both ("5/400")."""
    for name, value in row.values.items():
        if name.lower() != step_name or _absent(value):
            continue
        whole, _, last = str(value).partition("/")
        number = _number(whole if last else value)
        if number is None or number != int(number) or not 0 <= number <= _FURTHEST:
            raise LogError(
                f"{path}, {row.place}, column {name}: {_shown(value)} is no step; steps are whole"
                " numbers from 0 on"
            )
        return int(number), (int(last) if last.isdecimal() and int(last) else None)
    return None, None


def _metrics(path: Path, row: Row) -> dict[str, float]:
    """Return the row's finite values under canonical names; of two keys the one of higher precedence."""
    found: dict[str, float] = {}
    for name, value in sorted(row.values.items(), key=lambda item: -precedence(item[0])):
        if is_step(name) or _absent(value):
            continue
        ours = canonical_name(name)
        number = _number(value)
        if number is not None:
            found[ours] = number
        elif _is_read(name):
            raise LogError(
                f"{path}, {row.place}, column {name}: {_shown(value)} is no number; leave the cell"
                " empty where nothing was measured"
            )
    return found


def _is_read(name: str) -> bool:
    """Return whether the detector uses the column."""
    return canonical_name(name) in READ or bool(
        function_of(name) and role_by_name(name).role in USED
    )


def _absent(value: object) -> bool:
    """Return whether the cell means "not measured"."""
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
