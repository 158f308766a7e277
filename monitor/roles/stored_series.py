"""Reading the role series of a run from the database; `schemas.readings` has their last values."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from cusp.roles.values import Member, value_of
from monitor.database.engine import Transaction
from monitor.roles.role_series import RoleSeries, keys_of, role_series
from monitor.store import points
from monitor.store.points import Series


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

    Their steps are from `since` to `until`, both included. A logged key that is a role by itself is shown as the role; by its own name it is found, too.
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
    result = Series(name, made_of=made_of)
    current: dict[int, dict[str, float]] = {}
    owners: dict[int, int] = {}
    old: dict[tuple[int, int], dict[str, float]] = {}
    for key in keys_of(members):
        one = stored.get(key)
        if one is None:
            continue
        for step, value, attempt in zip(one.steps, one.values, one.attempts, strict=True):
            current.setdefault(step, {})[key] = value
            owners[step] = attempt
        for step, value, attempt in one.superseded:
            old.setdefault((step, attempt), {})[key] = value
    for step in sorted(current):
        made = value_of(members, current[step])
        if made is not None:
            result.steps.append(step)
            result.values.append(made)
            result.attempts.append(owners[step])
    for (step, attempt), row in sorted(old.items()):
        made = value_of(members, row)
        if made is not None:
            result.superseded.append((step, made, attempt))
    return result
