"""What the table of runs needs to know of each of them, every table read once for all.

A page of 500 runs took 3,006 statements when each run was read by itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cusp.role_values import value_of
from monitor.role_series import RoleSeries, keys_of, role_series
from monitor.store import checkpoints, commands, evaluations, points, quarantine, recent, runs
from monitor.store.database import Transaction
from monitor.thin import thinned

KEY_METRICS = ("format_reward", "completion_length", "accuracy_reward", "reward")
DRAWN = KEY_METRICS[:3]
SPARKLINE_POINTS = 60
STORED_POINTS = 120  # that a sparkline is made of, keeping their extremes


@dataclass(frozen=True)
class Readings:
    """What was read of one run besides its row."""

    attempts: Sequence[Any]
    latest: Mapping[str, float]
    sparklines: Mapping[str, list[float]]
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
    cuts = {run_id: runs.cuts(attempts[run_id]) for run_id in ids}
    names = points.names_by_run(tx, ids)
    roles = {run.id: role_series(names[run.id], run.metadata) for run in found}
    asked = {run_id: _asked(roles[run_id], names[run_id]) for run_id in ids}
    ends = recent.points(tx, _spans(attempts, cuts, asked), STORED_POINTS)
    aliases = checkpoints.aliased_by_run(tx, ids)
    promoted = [run_id for run_id in ids if aliases[run_id]]
    reported = evaluations.reported(tx, promoted) if promoted else {}
    stopping = commands.stopping(tx, [run.id for run in found if run.status == "running"])
    quarantined = quarantine.counts(tx, ids)
    result = {}
    for run_id in ids:
        stored = {name: ends.get(number, ()) for name, number in asked[run_id].items()}
        lines = _key_lines(roles[run_id], stored)
        result[run_id] = Readings(
            attempts=attempts[run_id],
            latest={name: line[-1] for name, line in lines.items() if line},
            sparklines={name: _drawn(line) for name, line in lines.items() if name in DRAWN},
            aliases=aliases[run_id],
            stopping=run_id in stopping,
            quarantined=quarantined.get(run_id, 0),
            reported=reported.get(run_id, ()),
        )
    return result


def _asked(roles: RoleSeries, names: Mapping[str, int]) -> dict[str, int]:
    """Return the stored series that the key metrics are made of, by name."""
    keys = {stored for stored, series in roles.plain.items() if series in KEY_METRICS}
    for series in KEY_METRICS:
        keys |= set(keys_of(roles.made.get(series, ())))
    return {name: names[name] for name in keys if name in names}


def _spans(
    attempts: Mapping[str, Sequence[Any]],
    cuts: Mapping[str, Mapping[int, int]],
    asked: Mapping[str, Mapping[str, int]],
) -> list[recent.Span]:
    """Return where each attempt counts; one that later ones supersede from its first step on does not."""
    spans = []
    for run_id, numbers in asked.items():
        cut = cuts[run_id]
        counting = [
            row
            for row in attempts[run_id]
            if row.first_step is not None and row.first_step < cut[row.key]
        ]
        for number in numbers.values():
            spans += [recent.Span(number, row.key, cut[row.key]) for row in counting]
    return spans


def _key_lines(
    roles: RoleSeries, stored: Mapping[str, Sequence[tuple[int, float]]]
) -> dict[str, list[float]]:
    """Return the last values of each key metric that the run has, by step."""
    lines: dict[str, list[float]] = {}
    for series in KEY_METRICS:
        members = roles.made.get(series)
        if members is None:
            key = next((key for key, plain in roles.plain.items() if plain == series), None)
            if key is not None and key in stored:
                lines[series] = [value for _, value in stored[key]]
            continue
        rows: dict[int, dict[str, float]] = {}
        for key in keys_of(members):
            for step, value in stored.get(key, ()):
                rows.setdefault(step, {})[key] = value
        made = (value_of(members, rows[step]) for step in sorted(rows))
        lines[series] = [value for value in made if value is not None]
    return lines


def _drawn(line: Sequence[float]) -> list[float]:
    return [line[index] for index in thinned(line, SPARKLINE_POINTS)]
