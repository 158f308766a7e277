"""Reading the role series of a run from the database; `schemas.readings` has their last values."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cusp.roles.values import Member
from monitor.database.engine import Transaction
from monitor.roles.role_series import RoleSeries, keys_of, role_series
from monitor.store import points
from monitor.store.packed.columns import NOTHING, Columns, joined
from monitor.store.points import Series

_NONE = Series("")  # of a key that was not logged


def watched(
    tx: Transaction, run: Any, cuts: Mapping[int, int], since: int = 0
) -> dict[int, dict[str, float]]:
    """Return {step: {role series: value}} of the run's effective series, by rising step."""
    numbers = points.names(tx, run.id)
    roles = role_series(numbers, run.metadata)
    return roles.complete(points.effective(tx, roles.labels(numbers), cuts, since))


def shown_series(
    tx: Transaction,
    run: Any,
    cuts: Mapping[int, int],
    *,
    only: Sequence[str] | None = None,
    since: int = 0,
    until: int = points.NO_END,
) -> list[Series]:
    """Return the series that viewers see, or those named: of the roles, and of every other key.

    Their steps are from `since` to `until`, both included. A logged key that is a role by itself is shown as
    the role; by its own name it is found, too.
    """
    if only is None:
        found = points.read(tx, run.id, cuts, since=since, until=until)
        return as_shown(found, run.metadata)
    names = points.names(tx, run.id)
    roles = role_series(names, run.metadata)
    needed = _needed(roles, names, only)
    stored = points.read(tx, run.id, cuts, only=needed, since=since, until=until)
    return _shown(stored, roles, only)


def as_shown(stored: Sequence[Series], metadata: Mapping[str, Any]) -> list[Series]:
    """Return the series that viewers see, of all that are stored of a run."""
    return _shown(stored, role_series([one.name for one in stored], metadata), None)


def _shown(stored: Sequence[Series], roles: RoleSeries, only: Sequence[str] | None) -> list[Series]:
    by_name = {one.name: one for one in stored}
    made = {series: ms for series, ms in roles.made.items() if only is None or series in only}
    result = [_combined(name, ms, by_name, roles.formula(name)) for name, ms in made.items()]
    for own, one in by_name.items():
        series = roles.outward(own)
        if only is None or series in only:
            result.append(replace(one, name=series, made_of=_made_of(roles, own)))
        elif own in only and own not in roles.made and own not in roles.plain.values():
            result.append(one)
    return sorted(result, key=lambda one: one.name)


def _needed(roles: RoleSeries, names: Iterable[str], only: Sequence[str]) -> list[str]:
    needed = [name for name in names if name in only or roles.outward(name) in only]
    return needed + [key for series in only for key in keys_of(roles.made.get(series, ()))]


def _made_of(roles: RoleSeries, stored: str) -> str | None:
    return roles.formula(roles.plain[stored]) if stored in roles.plain else None


def _combined(
    name: str, members: Sequence[Member], stored: Mapping[str, Series], made_of: str | None
) -> Series:
    counted, superseded = [], []
    for member in members:
        one, also = stored.get(member.key, _NONE), stored.get(member.also or "", _NONE)
        counted.append((member, one.counted, also.counted))
        superseded.append((member, one.superseded, also.superseded))
    return Series(name, _sum(counted), _sum(superseded), made_of)


def _sum(parts: Sequence[tuple[Member, Columns, Columns]]) -> Columns:
    """Return what `value_of` returns at each point at which every member was logged."""
    total: Columns | None = None
    for member, one, also in parts:
        found = _either(one, also)
        with np.errstate(over="ignore", invalid="ignore"):  # a sum that is not finite is left out
            part = found._replace(values=member.offset + member.scale * found.values)
            total = part if total is None else _added(total, part)
    if total is None:
        return NOTHING
    return total.chosen(np.isfinite(total.values))


def _either(one: Columns, also: Columns) -> Columns:
    """Return the points of the one, and of the other where the one has none."""
    if not len(also.steps):
        return one
    missing = ~np.isin(_places(also), _places(one))
    return joined([one, also.chosen(missing)])


def _added(one: Columns, other: Columns) -> Columns:
    """Return the sums at the points that both have."""
    if np.array_equal(one.steps, other.steps) and np.array_equal(one.attempts, other.attempts):
        return one._replace(values=one.values + other.values)
    _, at, there = np.intersect1d(
        _places(one), _places(other), assume_unique=True, return_indices=True
    )
    found = one.chosen(at)
    return found._replace(values=found.values + other.values[there])


def _places(found: Columns) -> NDArray[np.void]:
    """Return (step, attempt key) of each point as one value that sorts like both."""
    pairs = np.empty(len(found.steps), dtype=[("step", np.int64), ("key", np.int64)])
    pairs["step"], pairs["key"] = found.steps, found.attempts
    return pairs
