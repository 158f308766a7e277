"""Rows of a log with their place in the file, as all readers return them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from cusp.errors import CuspError

# By preference: the optimiser's count first; W&B's `_step`, which counts calls of its `log`, last.
STEP_NAMES = (
    "train/global_step",
    "trainer/global_step",
    "training/global_step",
    "global_step",
    "step",
    "global_step/max_steps",
    "_step",
)
_COLUMNS = {"training loss": "loss", "validation loss": "eval_loss"}  # of transformers' notebooks
_EVAL = re.compile(r"(train/)?(eval|test|val|validation)[_/]")
# Keys of the summary at the end of a training's log, which is not a step.
_SUMMARY = frozenset({"train_runtime", "log_history"})
_TIMES = frozenset({"epoch", "_timestamp", "_runtime", "timestamp", "time", "wall time"})


class LogError(CuspError, ValueError):
    """A log that cannot be read: one sentence with file, line, column and the way out."""


@dataclass(frozen=True)
class Row:
    """One row of a file with its place, for error messages."""

    place: str
    values: Mapping[str, object]


@dataclass(frozen=True)
class Rows:
    """The rows of one file, and further facts about the run.

    `notes` are sentences on omissions and assumptions.
    """

    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    save_steps: int | None = None
    max_steps: int | None = None


def clean_name(name: str) -> str:
    """Return a column's name as the trainer logged it, from its printed form.

    >>> clean_name(" rewards / xmlcount_reward_func / mean"), clean_name("Training Loss")
    ('rewards/xmlcount_reward_func/mean', 'loss')
    """
    name = re.sub(r"\s*/\s*", "/", name.strip())
    return _COLUMNS.get(name.lower(), name)


def is_step(name: str) -> bool:
    """Return whether a column of this name may hold the optimiser step."""
    return name.lower() in STEP_NAMES


def is_evaluation(name: str) -> bool:
    """Return whether the value is of an evaluation rather than of the training batch.

    >>> is_evaluation("eval_rewards/format_reward/mean"), is_evaluation("val-core/acc")
    (True, True)
    >>> is_evaluation("evaluation_strategy"), is_evaluation("value_loss")
    (False, False)
    """
    return _EVAL.match(name) is not None or name.startswith(("val-core/", "val-aux/"))


def _is_told(value: object) -> bool:
    """Return whether a cell says something: not empty, None or NaN."""
    text = "" if value is None else str(value).strip().lower()
    return text not in ("", "nan", "none", "null")


def training_part(row: Row) -> Row | None:
    """Return the row without evaluation values; None if nothing is left.

    A table of a whole `log_history` has the summary's columns in every row, empty in all but the last.
    """
    if any(_is_told(row.values[name]) for name in _SUMMARY & row.values.keys()):
        return None
    kept = {name: value for name, value in row.values.items() if not is_evaluation(name)}
    if len(kept) == len(row.values):
        return row
    measured = [n for n in kept if not is_step(n) and n.lower() not in _TIMES]
    return Row(row.place, kept) if measured else None
