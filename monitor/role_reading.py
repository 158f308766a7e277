"""Reading the role series of a run from the database: whole, thinned, their last values."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cusp.role_values import Member, value_of
from monitor.role_series import RoleSeries, keys_of, role_series
from monitor.store import points
from monitor.store.database import Transaction
from monitor.store.points import Series

RECENT = 64  # steps in which a role of several functions is looked for before the whole run is


def watched(
    tx: Transaction, run: Any, cuts: Mapping[int, int], since: int = 0
) -> dict[int, dict[str, float]]:
    """Return {step: {role series: value}} of the run's effective series, by rising step."""
    numbers = points.names(tx, run.id)
    roles = role_series(numbers, run.metadata)
    return roles.complete(points.effective(tx, roles.labels(numbers), cuts, since))


def latest(
    tx: Transaction,
    roles: RoleSeries,
    numbers: Mapping[str, int],
    cuts: Mapping[int, int],
    last_step: int,
    wanted: Sequence[str],
) -> dict[str, float]:
    """Return the last value of each of the wanted series that the run has."""
    ids = _plain(roles, numbers, wanted)
    result = points.latest(tx, ids, cuts)
    made = [series for series in wanted if series in roles.made]
    for since in (max(0, last_step - RECENT), 0):
        if missing := [series for series in made if series not in result]:
            labels = _labels(roles, numbers, missing)
            for row in reversed(points.effective(tx, labels, cuts, since).values()):
                for series in missing:
                    value = value_of(roles.made[series], row)
                    if value is not None:
                        result.setdefault(series, value)
    return {series: result[series] for series in wanted if series in result}


def sparklines(
    tx: Transaction,
    roles: RoleSeries,
    numbers: Mapping[str, int],
    cuts: Mapping[int, int],
    last_step: int,
    most: int,
    wanted: Sequence[str],
) -> dict[str, list[float]]:
    """Return about `most` values of each of the wanted series that the run has."""
    result = points.thinned(tx, _plain(roles, numbers, wanted), cuts, last_step, most)
    made = [series for series in wanted if series in roles.made]
    if made:
        rows = points.sampled(tx, _labels(roles, numbers, made), cuts, last_step, most)
        for series in made:
            values = [value_of(roles.made[series], row) for row in rows.values()]
            result[series] = [value for value in values if value is not None]
    return {series: result[series] for series in wanted if series in result}


def shown_series(
    tx: Transaction,
    run: Any,
    cuts: Mapping[int, int],
    *,
    only: Sequence[str] | None = None,
    since: int = 0,
) -> list[Series]:
    """Return the series that viewers see, or those named: of the roles, and of every other key.

    A logged key that is a role by itself is shown as the role; by its own name it is found, too.
    """
    numbers = points.names(tx, run.id)
    roles = role_series(numbers, run.metadata)
    needed = None if only is None else _needed(roles, numbers, only)
    stored = {one.name: one for one in points.read(tx, run.id, cuts, only=needed, since=since)}
    made = {series: ms for series, ms in roles.made.items() if only is None or series in only}
    result = [_combined(name, ms, stored, roles.formula(name)) for name, ms in made.items()]
    for one in stored.values():
        own, series = one.name, roles.outward(one.name)
        if only is None or series in only:
            result.append(replace(one, name=series, made_of=_made_of(roles, own)))
        elif own in only and own not in roles.made and own not in roles.plain.values():
            result.append(one)
    return sorted(result, key=lambda one: one.name)


def _needed(roles: RoleSeries, numbers: Mapping[str, int], only: Sequence[str]) -> list[str]:
    needed = [name for name in numbers if name in only or roles.outward(name) in only]
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


def _plain(roles: RoleSeries, numbers: Mapping[str, int], wanted: Sequence[str]) -> dict[str, int]:
    return {series: numbers[key] for key, series in roles.plain.items() if series in wanted}


def _labels(roles: RoleSeries, numbers: Mapping[str, int], made: Sequence[str]) -> dict[int, str]:
    keys = {key for series in made for key in keys_of(roles.made[series])}
    return {numbers[key]: key for key in keys if key in numbers}
