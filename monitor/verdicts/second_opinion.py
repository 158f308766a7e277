"""Second opinion (offline segmentation) on a run's series in the database."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from cusp.protocol.run import RunMetadata
from monitor.database.engine import Transaction
from monitor.detector import RunShape, Sample, Segmentation, Transition, second_opinion
from monitor.detector.offline import CHANCE, segmented
from monitor.detector.signal.metrics import METRICS, MOST
from monitor.roles.role_series import role_series, shape_of
from monitor.roles.stored_series import watched
from monitor.store import points, runs
from monitor.store.points import Series
from monitor.verdicts.cache import WATCHED

OVER = ("stopped", "finished", "failed", "lost")


def agreement(tx: Transaction, run: Any, transition: Transition) -> str:
    """Return a sentence that the segmentation by ruptures has a change for the worse in the interval, or "".

    Nothing is said of an interval so wide that it would often agree by chance, nor where there is none: in
    the generator's runs half of the right stops have none yet (benchmarks/detector/segmentation.py).
    """
    found = _segmented(tx, run)
    low, high = transition.low, transition.high
    step, chance = found.within(low, high), found.chance(low, high)
    if step is None or chance > CHANCE:
        return ""
    return (
        f"Segmented as a whole (ruptures) the run has a change for the worse after step {step}, too; an"
        f" interval as wide as {low}-{high} elsewhere in the run would hold one in {chance:.0%} of places."
    )


def segments(run: Any, series: Iterable[Series], names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the segments of a run that is over, none while it trains.

    `series` are those that viewers see, `names` the logged ones. Nothing is read: a page has both already.
    """
    if run.status not in OVER:
        return []
    found = {one.name: one.counted for one in series if one.name in WATCHED}
    if not found:
        return []
    steps = np.unique(np.concatenate([one.steps for one in found.values()]))
    raw = {metric.name: np.full(len(steps), np.nan) for metric in METRICS}
    for name in raw.keys() & found.keys():
        raw[name][np.searchsorted(steps, found[name].steps)] = found[name].values.clip(-MOST, MOST)
    return segmented(steps, raw, _shape(run, names)).records()


def _segmented(tx: Transaction, run: Any) -> Segmentation:
    """Return the segmentation of what is stored of a run."""
    cuts = runs.cuts(runs.attempts_of(tx, run.id))
    series = watched(tx, run, cuts)
    samples = [Sample(step, metrics) for step, metrics in series.items()]
    return second_opinion(samples, _shape(run, list(points.names(tx, run.id))))


def _shape(run: Any, names: Sequence[str]) -> RunShape:
    roles = role_series(names, run.metadata)
    return shape_of(RunMetadata.model_validate(run.metadata), roles.assignment)
