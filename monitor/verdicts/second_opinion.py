"""Second opinion (offline segmentation) on a run's series in the database."""

from typing import Any

from cusp.protocol.run import RunMetadata
from monitor.database.engine import Transaction
from monitor.detector import Sample, Transition, second_opinion
from monitor.roles.role_series import role_series, shape_of
from monitor.roles.stored_series import watched
from monitor.store import points, runs


def agreement(tx: Transaction, run: Any, transition: Transition) -> str:
    """Return a sentence on whether the segmentation by ruptures agrees with the interval."""
    cuts = runs.cuts(runs.attempts_of(tx, run.id))
    series = watched(tx, run, cuts)
    roles = role_series(points.names(tx, run.id), run.metadata)
    shape = shape_of(RunMetadata.model_validate(run.metadata), roles.assignment)
    found = second_opinion([Sample(step, metrics) for step, metrics in series.items()], shape)
    low, high = transition.low, transition.high
    steps = ", ".join(str(step) for step in found.change_steps) or "nowhere"
    verdict = "agrees with" if found.agrees(low, high) else "has none in"
    return f"Second opinion (ruptures, offline): changes at {steps}; it {verdict} {low}-{high}."
