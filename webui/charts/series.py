"""Series in the REST shape: selection, smoothing, downsampling. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from webui.format import is_number

LIGHTEST, STRONGEST = 0.25, 0.02
"""Weights of the newest value in the drawn average of a short and of a very long run."""

MAX_POINTS = 3_000
"""More points than this are thinned for drawing; extremes and both ends always stay."""

MAX_POINTS_SMALL = 600
"""The same for the small charts of the other metrics, a few hundred pixels wide."""

Series = Mapping[str, Any]


def by_name(series: Iterable[Series]) -> dict[str, Series]:
    """Return the series by metric name."""
    return {one["name"]: one for one in series}


def pairs(one: Series | None) -> tuple[list[int], list[float]]:
    """Return steps and finite values (six digits) of a series, without missing values."""
    if not one:
        return [], []
    kept = [(s, v) for s, v in zip(one["steps"], one["values"], strict=False) if is_number(v)]
    return [s for s, _ in kept], [float(f"{v:.6g}") for _, v in kept]


def weight_for(count: int) -> float:
    """Return the smoothing weight of the newest value for a series of this length; chart.js uses it, too."""
    return max(STRONGEST, min(LIGHTEST, 40 / max(count, 1)))


def stride(one: Series | None) -> float:
    """Return the mean number of steps between two points of a series, 1 at the least; smooth.js weighs by it."""
    steps = one["steps"] if one else []
    return max(1.0, round((steps[-1] - steps[0]) / (len(steps) - 1), 3)) if len(steps) > 1 else 1.0


def smoothed(values: Sequence[float], weight: float = LIGHTEST) -> list[float]:
    """Return the bias-corrected exponential moving average (the first value is unchanged)."""
    out: list[float] = []
    total = norm = 0.0
    for value in values:
        total = (1 - weight) * total + weight * value
        norm = (1 - weight) * norm + weight
        out.append(round(total / norm, 6))
    return out


def downsample(values: Sequence[float], limit: int = MAX_POINTS) -> list[int]:
    """Return the indices to keep: all, or both ends and the least and greatest of limit/2 buckets.

    >>> downsample([0.0, 5.0, 1.0, 2.0, -3.0, 2.0, 2.0, 2.0], 4)
    [0, 1, 4, 5, 7]
    """
    count = len(values)
    if count <= limit:
        return list(range(count))
    width = math.ceil(count / (limit // 2))
    whole = count // width
    kept = {0, count - 1}
    buckets = np.asarray(values[: whole * width]).reshape(whole, width)
    starts = np.arange(whole) * width
    kept |= set((starts + buckets.argmin(axis=1)).tolist())
    kept |= set((starts + buckets.argmax(axis=1)).tolist())
    if rest := values[whole * width :]:
        kept |= {whole * width + int(np.argmin(rest)), whole * width + int(np.argmax(rest))}
    return sorted(kept)
