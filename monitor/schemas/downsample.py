"""Fewer points of a long series, without losing what matters: extremes, both ends, marked steps. Pure."""

from collections.abc import Set

import numpy as np

from monitor.store.points import Series
from webui.charts.series import downsample


def thin(one: Series, most: int, marked: Set[int]) -> Series:
    """Return the series with about `most` points; those of the marked steps come on top.

    Each bucket keeps its least and its greatest value, so no peak or trough is lost.
    """
    kept = set(downsample(one.values, most))
    if marked:
        kept |= set(np.flatnonzero(np.isin(one.steps, list(marked))).tolist())
    order = sorted(kept)
    old = one.superseded
    return Series(
        one.name,
        steps=[one.steps[index] for index in order],
        values=[one.values[index] for index in order],
        attempts=[one.attempts[index] for index in order],
        superseded=[old[index] for index in downsample([value for _, value, _ in old], most)],
        made_of=one.made_of,
    )
