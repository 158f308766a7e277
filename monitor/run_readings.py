"""What the table of runs needs to know of each of them, every table read once for all.

A page of 500 runs took 3,006 statements when each run was read by itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

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
    series = points.ids_by_run(tx, ids, KEY_METRICS)
    ends = recent.points(tx, _spans(attempts, series), STORED_POINTS)
    aliases = checkpoints.aliased_by_run(tx, ids)
    promoted = [run_id for run_id in ids if aliases[run_id]]
    reported = evaluations.reported(tx, promoted) if promoted else {}
    stopping = commands.stopping(tx, [run.id for run in found if run.status == "running"])
    quarantined = quarantine.counts(tx, ids)
    return {
        run_id: Readings(
            attempts=attempts[run_id],
            latest=_latest(series[run_id], ends),
            sparklines=_sparklines(series[run_id], ends),
            aliases=aliases[run_id],
            stopping=run_id in stopping,
            quarantined=quarantined.get(run_id, 0),
            reported=reported.get(run_id, ()),
        )
        for run_id in ids
    }


def _spans(
    attempts: Mapping[str, Sequence[Any]], series: Mapping[str, Mapping[str, int]]
) -> list[recent.Span]:
    """Return where each attempt counts; one that later ones supersede from its first step on does not."""
    spans = []
    for run_id, ids in series.items():
        cuts = runs.cuts(attempts[run_id])
        counting = [
            row
            for row in attempts[run_id]
            if row.first_step is not None and row.first_step < cuts[row.key]
        ]
        for number in ids.values():
            spans += [recent.Span(number, row.key, cuts[row.key]) for row in counting]
    return spans


def _latest(
    ids: Mapping[str, int], ends: Mapping[int, Sequence[tuple[int, float]]]
) -> dict[str, float]:
    return {name: ends[ids[name]][-1][1] for name in KEY_METRICS if ends.get(ids.get(name, -1))}


def _sparklines(
    ids: Mapping[str, int], ends: Mapping[int, Sequence[tuple[int, float]]]
) -> dict[str, list[float]]:
    drawn = {}
    for name in DRAWN:
        if name in ids:
            values = [value for _, value in ends.get(ids[name], ())]
            drawn[name] = [values[index] for index in thinned(values, SPARKLINE_POINTS)]
    return drawn
