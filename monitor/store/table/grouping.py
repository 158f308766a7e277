"""Runs grouped by a key of their configuration, with mean and spread of the columns of choice."""

from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from monitor.database.schema import runs
from monitor.store import run_list
from monitor.store.run_list import Wanted
from monitor.store.table.config_text import config_text
from monitor.store.table.sorting import FIXED, Column, selected

MOST_GROUPED = 10_000  # runs; the newest ones are taken
MOST_COMPARED = 20  # runs of a group whose ids are returned
OWN = ("step", "transition", "kept", "score", "saved")


class Spread(NamedTuple):
    """How many runs have a value, its mean, and its standard deviation over them (None for one run)."""

    n: int
    mean: float
    sd: float | None


class Group(NamedTuple):
    """Runs with one value of the key (None: without it), the newest ids first."""

    value: str | None
    runs: int
    ids: Sequence[str]
    columns: dict[str, Spread | None]


def spread(values: Sequence[Any]) -> Spread | None:
    """Return number, mean and standard deviation of the numbers among the values.

    >>> spread([1.0, 3.0, None])
    Spread(n=2, mean=2.0, sd=1.4142135623730951)
    """
    numbers = [float(v) for v in values if isinstance(v, int | float)]
    if not numbers:
        return None
    return Spread(len(numbers), fmean(numbers), stdev(numbers) if len(numbers) > 1 else None)


def groups(
    connection: Connection,
    wanted: Wanted,
    key: str,
    extra: Sequence[Column],
    *,
    silent_since: float,
) -> list[Group]:
    """Return the groups, sorted by the key's value: numbers by size, then texts, then those without."""
    given = [*run_list.conditions(wanted, silent_since), runs.c.deleted_at.is_(None)]
    metrics = [one for one in extra if one.kind != "config"]
    own = [FIXED[name].label(name) for name in OWN]
    statement = (
        select(
            config_text(key).label("value"),
            runs.c.id,
            *own,
            *selected(metrics),
        )
        .where(*given)
        .order_by(runs.c.created_at.desc())
        .limit(MOST_GROUPED)
    )
    found: dict[str | None, list[Any]] = {}
    for row in connection.execute(statement):
        found.setdefault(row[0], []).append(row)
    names = [*OWN, *(str(one) for one in metrics)]
    return [_group(value, found[value], names) for value in sorted(found, key=_place)]


def _group(value: str | None, rows: Sequence[Any], names: Sequence[str]) -> Group:
    columns = {name: spread([row[at] for row in rows]) for at, name in enumerate(names, 2)}
    return Group(value, len(rows), [row[1] for row in rows[:MOST_COMPARED]], columns)


def _place(value: str | None) -> tuple[int, float, str]:
    if value is None:
        return (2, 0.0, "")
    try:
        return (0, float(value), value)
    except ValueError:
        return (1, 0.0, value)
