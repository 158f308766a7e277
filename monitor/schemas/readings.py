"""Bulk reads for the list of runs: each table is read once for all runs.

A page of 500 runs took 3,006 statements when each run was read by itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cusp.roles.values import value_of
from monitor.database.engine import Transaction
from monitor.roles.role_series import RoleSeries, keys_of, role_series
from monitor.store import checkpoints, commands, points, quarantine, runs
from monitor.store.scores import evaluations
from webui.charts.series import downsample

KEY_METRICS = ("format_reward", "completion_length", "accuracy_reward", "reward")
DRAWN = KEY_METRICS[:3]
SPARKLINE_POINTS = 60
STORED_POINTS = 120  # that a sparkline is made of, keeping their extremes


@dataclass(frozen=True)
class Readings:
    """What was read of one run besides its row."""

    attempts: Sequence[Any]
    values: Mapping[str, list[float]]  # the last ones of each key metric, by step
    aliases: Mapping[str, dict[str, Any]]
    stopping: bool
    quarantined: int
    reported: Sequence[Any] = field(default=())  # evaluations on the report set


def read(tx: Transaction, found: Sequence[Any]) -> dict[str, Readings]:
    """Return the readings of the runs by id, in a fixed number of statements."""
    ids = [run.id for run in found]
    if not ids:
        return {}
    attempts = runs.attempts_by_run(tx, ids)
    names = points.names_by_run(tx, ids)
    values = key_values(tx, found, attempts, names)
    aliases = checkpoints.aliased_by_run(tx, ids)
    promoted = [run_id for run_id in ids if aliases[run_id]]
    reported = evaluations.reported(tx, promoted) if promoted else {}
    stopping = commands.stopping(tx, [run.id for run in found if run.status == "running"])
    quarantined = quarantine.counts(tx, ids)
    return {
        run_id: Readings(
            attempts=attempts[run_id],
            values=values[run_id],
            aliases=aliases[run_id],
            stopping=run_id in stopping,
            quarantined=quarantined.get(run_id, 0),
            reported=reported.get(run_id, ()),
        )
        for run_id in ids
    }


def key_values(
    tx: Transaction,
    found: Sequence[Any],
    attempts: Mapping[str, Sequence[Any]],
    names: Mapping[str, Mapping[str, int]],
) -> dict[str, dict[str, list[float]]]:
    """Return by run the last values of each key metric that it has, by step, in one statement.

    `attempts` and `names` (series ids by name) are those of each run, by its id.
    """
    roles = {run.id: role_series(names[run.id], run.metadata) for run in found}
    needed = {run_id: _needed(one, names[run_id]) for run_id, one in roles.items()}
    ends = points.recent_points(tx, _spans(attempts, needed), STORED_POINTS)
    return {run_id: _values(one, needed[run_id], ends) for run_id, one in roles.items()}


def _needed(roles: RoleSeries, names: Mapping[str, int]) -> dict[str, int]:
    """Return the ids of the stored series that the key metrics are made of, by stored name."""
    stored = [name for name, series in roles.plain.items() if series in KEY_METRICS]
    for series in KEY_METRICS:
        stored += keys_of(roles.made.get(series, ()))
    return {name: names[name] for name in stored if name in names}


def _spans(
    attempts: Mapping[str, Sequence[Any]], needed: Mapping[str, Mapping[str, int]]
) -> list[points.StepRange]:
    """Return where each attempt counts; one that later ones supersede from its first step on does not."""
    spans = []
    for run_id, ids in needed.items():
        cuts = runs.cuts(attempts[run_id])
        counting = [
            row
            for row in attempts[run_id]
            if row.first_step is not None and row.first_step < cuts[row.key]
        ]
        for number in ids.values():
            spans += [points.StepRange(number, row.key, cuts[row.key]) for row in counting]
    return spans


def _values(
    roles: RoleSeries, ids: Mapping[str, int], ends: Mapping[int, Sequence[tuple[int, float]]]
) -> dict[str, list[float]]:
    """Return the last values of each key metric that the run has, by step."""
    own = {series: stored for stored, series in roles.plain.items()}
    found: dict[str, list[float]] = {}
    for series in KEY_METRICS:
        if own.get(series) in ids:
            found[series] = [value for _, value in ends.get(ids[own[series]], ())]
        elif members := roles.made.get(series):
            rows: dict[int, dict[str, float]] = {}
            for key in keys_of(members):
                for step, value in ends.get(ids.get(key, -1), ()):
                    rows.setdefault(step, {})[key] = value
            made = [value_of(members, rows[step]) for step in sorted(rows)]
            found[series] = [value for value in made if value is not None]
    return found


def sparklines(values: Mapping[str, list[float]]) -> dict[str, list[float]]:
    """Return the small lines of the runs table."""
    drawn = {name: values[name] for name in DRAWN if name in values}
    return {
        name: [line[index] for index in downsample(line, SPARKLINE_POINTS)]
        for name, line in drawn.items()
    }
