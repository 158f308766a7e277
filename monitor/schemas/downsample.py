"""Fewer points of a long series, without losing what matters: extremes, both ends, marked steps. Pure."""

from collections.abc import Sequence, Set
from dataclasses import replace
from itertools import pairwise

import numpy as np

from monitor.store.packed.columns import Columns, Values
from monitor.store.points import Series
from webui.charts.series import Places, averaged, places


def thin(one: Series, most: int, marked: Set[int], average: Values | None = None) -> Series:
    """Return the series with about `most` points; those of the marked steps come on top.

    Each bucket keeps its least and its greatest value, so no peak or trough is lost. `average` are values at
    all counted points, of which those at the kept ones are kept.
    """
    found, old = one.counted, one.superseded
    kept = places(found.values, most)
    if marked and len(kept) < len(found.steps):
        at = np.flatnonzero(np.isin(found.steps, np.fromiter(marked, np.int64)))
        kept = np.union1d(kept, at)
    return replace(
        one,
        counted=_kept(found, kept),
        superseded=_kept(old, places(old.values, most)),
        average=None if average is None else average[kept],
    )


def drawn(one: Series, most: int, marked: Set[int], weight: float) -> Series:
    """Return the series as a chart draws it: thinned, with the average of all its points at those kept.

    `weight` is that of the newest value in the average.
    """
    return thin(one, most, marked, averaged(one.counted.values, weight))


def judged_steps(rows: Sequence[tuple[int, float, str]], most: int, marked: Set[int]) -> list[int]:
    """Return the steps of about `most` verdicts, of all (step, score, phase) by step, to draw.

    Kept are the least and greatest scores, both ends of each phase, and the marked steps.
    """
    if len(rows) <= most:
        return [step for step, _, _ in rows]
    # Not zip(*rows), which makes an iterator of every row.
    kept = {rows[place][0] for place in places(np.array([score for _, score, _ in rows]), most)}
    for one, other in pairwise(rows):
        if one[2] != other[2]:
            kept |= {one[0], other[0]}
    return sorted(kept | set(marked).intersection(step for step, _, _ in rows))


def length(one: Series) -> int:
    """Return how many points of the series count."""
    return len(one.counted.steps)


def _kept(found: Columns, places: Places) -> Columns:
    return found if len(places) == len(found.steps) else found.chosen(places)
