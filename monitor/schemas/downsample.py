"""Fewer points of a long series, without losing what matters: extremes, both ends, marked steps. Pure."""

import math
from collections.abc import Sequence, Set

import numpy as np

from monitor.store.points import Series


def thin(one: Series, most: int, marked: Set[int]) -> Series:
    """Return the series with about `most` points; those of the marked steps come on top.

    Each bucket keeps its least and its greatest value, so no peak or trough is lost.
    """
    kept = set(thinned(one.values, most))
    if marked:
        kept |= set(np.flatnonzero(np.isin(one.steps, list(marked))).tolist())
    order = sorted(kept)
    old = one.superseded
    return Series(
        one.name,
        steps=[one.steps[index] for index in order],
        values=[one.values[index] for index in order],
        attempts=[one.attempts[index] for index in order],
        superseded=[old[index] for index in thinned([value for _, value, _ in old], most)],
        made_of=one.made_of,
    )


def thinned(values: Sequence[float], most: int) -> list[int]:
    """Return the indices to keep: all, or both ends and the least and greatest of most/2 buckets.

    The same as `webui.charts.series.thinned`, for long series.

    >>> thinned([0.0, 5.0, 1.0, 2.0, -3.0, 2.0, 2.0, 2.0], 4)
    [0, 1, 4, 5, 7]
    """
    count = len(values)
    if count <= most:
        return list(range(count))
    width = math.ceil(count / (most // 2))
    whole = count // width
    kept = {0, count - 1}
    buckets = np.asarray(values[: whole * width]).reshape(whole, width)
    starts = np.arange(whole) * width
    kept |= set((starts + buckets.argmin(axis=1)).tolist())
    kept |= set((starts + buckets.argmax(axis=1)).tolist())
    if rest := values[whole * width :]:
        kept |= {whole * width + int(np.argmin(rest)), whole * width + int(np.argmax(rest))}
    return sorted(kept)
