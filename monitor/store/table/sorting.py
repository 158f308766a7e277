"""Columns of the runs table as SQL: a fixed one, a metric's stored value, a key of the configuration.

A column is named by a word (`step`), or by a kind and a name (`max:format_reward`, `config:model.lr`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    ScalarSelect,
    and_,
    case,
    exists,
    func,
    literal,
    select,
    tuple_,
)

from monitor.database.schema import aliases, checkpoints, evaluations, run_values, runs
from monitor.store import run_list
from monitor.store.run_list import Page, Wanted
from monitor.store.table.config_text import config_text, number_or_null

VALUES = {"last": run_values.c.last, "min": run_values.c.low, "max": run_values.c.high}
KINDS = (*VALUES, "config")
_VERDICT = runs.c.verdict
KEPT = ("pre-transition", "best")  # aliases: the first of them that there is


@dataclass(frozen=True)
class Column:
    """A column of choice: a metric's `last`, `min` or `max`, or a `config` key."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


@dataclass(frozen=True)
class Order:
    """By what the runs are sorted: the name of a fixed column, or one of choice."""

    by: str | Column
    descending: bool = False

    def __str__(self) -> str:
        return f"{'-' if self.descending else ''}{self.by}"


def column_of(text: str) -> Column:
    """Return the column that `str(column)` wrote; ValueError when it is none.

    >>> column_of("max:rewards/format:soft")
    Column(kind='max', name='rewards/format:soft')
    """
    kind, _, name = text.partition(":")
    if kind not in KINDS or not name:
        raise ValueError(
            f"{text!r} is no column; columns are {', '.join(f'{k}:NAME' for k in KINDS)}"
        )
    if kind == "config" and set(name) & set('"\\{},'):
        raise ValueError(
            f'a configuration key with one of " \\ {{ }} , cannot be a column: {name!r}'
        )
    return Column(kind, name)


def order_of(text: str) -> Order:
    """Return the order that `str(order)` wrote; ValueError when it is none.

    >>> str(order_of("-step")), str(order_of("config:lr"))
    ('-step', 'config:lr')
    """
    name = text.removeprefix("-")
    if name not in FIXED and ":" not in name:
        raise ValueError(f"{name!r} is no column; the fixed ones are {', '.join(FIXED)}")
    return Order(name if name in FIXED else column_of(name), text.startswith("-"))


def sorted_page(
    connection: Connection,
    wanted: Wanted,
    order: Order,
    limit: int,
    skip: int,
    extra: Sequence[Column] = (),
    *,
    silent_since: float,
) -> Page:
    """Return the runs from place `skip` on, sorted; those without a value come last in either direction."""
    given = [*run_list.conditions(wanted, silent_since), runs.c.deleted_at.is_(None)]
    keys = _keys(order.by)
    by = [part for key in keys for part in (key.is_(None), key.desc() if order.descending else key)]
    total = connection.execute(select(func.count()).select_from(runs).where(*given)).scalar_one()
    # The ids alone are sorted: rows are long, and a sort would carry them.
    chosen = select(runs.c.id).where(*given).order_by(*by, runs.c.created_at.desc(), runs.c.id)
    ids = connection.execute(chosen.offset(skip).limit(limit)).scalars().all()
    found = {row.id: row for row in run_list.some(connection, ids, selected(extra))}
    return Page([found[run_id] for run_id in ids if run_id in found], total, skip, None, None)


def selected(extra: Sequence[Column]) -> list[ColumnElement[Any]]:
    """Return the expressions of columns of choice for a SELECT of runs, labelled `x0`, `x1`, ..."""
    return [_shown(one).label(f"x{at}") for at, one in enumerate(extra)]


def values_of(row: Row[Any], extra: Sequence[Column]) -> dict[str, Any]:
    """Return the values of the columns of choice of a row, by the columns' names."""
    return {str(one): getattr(row, f"x{at}") for at, one in enumerate(extra)}


def metric_value(column: Column) -> ScalarSelect[Any]:
    """Return the stored value of a metric of a run."""
    return (
        select(VALUES[column.kind])
        .where(run_values.c.run_id == runs.c.id, run_values.c.name == column.name)
        .scalar_subquery()
    )


def _shown(column: Column) -> ColumnElement[Any]:
    return config_text(column.name) if column.kind == "config" else metric_value(column)


def _keys(by: str | Column) -> list[ColumnElement[Any]]:
    """Return what to sort by: numbers by size before texts, those without a value last."""
    if isinstance(by, str):
        return [FIXED[by]]
    if by.kind != "config":
        return [metric_value(by)]
    value = config_text(by.name)
    return [number_or_null(value), value]


def _kept() -> ScalarSelect[Any]:
    return (
        select(checkpoints.c.step)
        .join(aliases, aliases.c.checkpoint_id == checkpoints.c.id)
        .where(aliases.c.run_id == runs.c.id, aliases.c.alias.in_(KEPT))
        .order_by(aliases.c.alias.desc())
        .limit(1)
        .correlate(runs)
        .scalar_subquery()
    )


def _score() -> ScalarSelect[Any]:
    """Return what `best_score` of monitor/schemas/checkpoint.py does: the mean of the newest score of each task."""
    newer = evaluations.alias()
    latest = ~exists().where(
        *(newer.c[name] == evaluations.c[name] for name in ("run_id", "checkpoint_id", "task")),
        newer.c.split == evaluations.c.split,
        tuple_(newer.c.created_at, newer.c.id) > tuple_(evaluations.c.created_at, evaluations.c.id),
    ).correlate(evaluations)
    return (
        select(func.avg(evaluations.c.scores["pass_at_1"].as_float()))
        .join(aliases, aliases.c.checkpoint_id == evaluations.c.checkpoint_id)
        .where(
            evaluations.c.run_id == runs.c.id,
            evaluations.c.split == "report",
            aliases.c.run_id == runs.c.id,
            aliases.c.alias.in_(KEPT),
            latest,
        )
        .group_by(aliases.c.alias)
        .order_by(aliases.c.alias.desc())
        .limit(1)
        .correlate(runs)
        .scalar_subquery()
    )


def _saved() -> ColumnElement[Any]:
    most = runs.c.metadata["max_steps"].as_float()
    share = literal(1.0) - runs.c.last_step / func.nullif(most, 0)
    return case((and_(runs.c.status == "stopped", runs.c.last_step.is_not(None)), share))


def _transition() -> ColumnElement[Any]:
    state = _VERDICT[("transition", "state")].as_string()
    return case((state != "dismissed", _VERDICT[("transition", "step")].as_integer()))


FIXED: dict[str, ColumnElement[Any]] = {
    "created": runs.c.created_at,
    "name": runs.c.name,
    "project": runs.c.project,
    "status": runs.c.status,
    "phase": _VERDICT["phase"].as_string(),
    "step": runs.c.last_step,
    "contact": runs.c.last_contact_at,
    "transition": _transition(),
    "kept": _kept(),
    "score": _score(),
    "saved": _saved(),
}
"""The table's own columns that it can be sorted by."""
