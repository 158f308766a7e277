"""Series in the REST shape: selection, smoothing, downsampling. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from webui.format import is_number

LIGHTEST, STRONGEST = 0.25, 0.02
"""Weights of the newest value in the drawn average of a short and of a very long run."""

MAX_POINTS = 2_000
"""More points than this are thinned for drawing; extremes and both ends always stay."""

MAX_POINTS_SMALL = 600
"""The same for the small charts of the other metrics, a few hundred pixels wide."""

_BLOCK = 64  # 0.75 ** 64 is 1e-8: sums of values over powers lose no digit that is drawn
_SUMMED_AS_IT_IS = 1e200  # divided by the powers of a block, larger values would be beyond a float

Series = Mapping[str, Any]
Floats = NDArray[np.float64]
Places = NDArray[np.int64]


def by_name(series: Iterable[Series]) -> dict[str, Series]:
    """Return the series by metric name."""
    return {one["name"]: one for one in series}


def pairs(one: Series | None) -> tuple[list[int], list[float]]:
    """Return steps and finite values (six digits) of a series, without missing values."""
    if not one:
        return [], []
    kept = [(s, v) for s, v in zip(one["steps"], one["values"], strict=False) if is_number(v)]
    return [s for s, _ in kept], [float(f"{v:.6g}") for _, v in kept]


def length(one: Series) -> int:
    """Return how many points a series has; of one that was thinned its `count` says it."""
    return int(one.get("count", len(one["steps"])))


def weight_for(count: int) -> float:
    """Return the smoothing weight of the newest value for a series of this length; chart.js uses it, too."""
    return max(STRONGEST, min(LIGHTEST, 40 / max(count, 1)))


def stride(one: Series | None) -> float:
    """Return the mean number of steps between two points of a series, 1 at the least; smooth.js weighs by it."""
    steps, count = (one["steps"], length(one)) if one else ([], 0)
    return max(1.0, round((steps[-1] - steps[0]) / (count - 1), 3)) if count > 1 and steps else 1.0


def smoothed(values: Sequence[float] | Floats, weight: float = LIGHTEST) -> list[float]:
    """Return the bias-corrected exponential moving average, to six decimals (the first value is unchanged)."""
    found: list[float] = np.round(
        averaged(np.asarray(values, dtype=np.float64), weight), 6
    ).tolist()
    return found


def averaged(values: Floats, weight: float) -> Floats:
    """Return the bias-corrected exponential moving average.

    By blocks: within one it is a sum, and each hands its last value on to the next. Of values that a float barely
    holds none is beyond the greatest of them.

    >>> averaged(np.array([1.0, 3.0]), 0.5).round(3).tolist()
    [1.0, 2.333]
    >>> (averaged(np.array([1e308, -1e308]), 0.5) / 1e308).round(3).tolist()
    [1.0, -0.333]
    """
    greatest = float(np.abs(values).max(initial=0.0))
    if greatest > _SUMMED_AS_IT_IS:
        return np.clip(averaged(values / greatest, weight), -1.0, 1.0) * greatest
    count, decay = len(values), 1.0 - weight
    powers = decay ** np.arange(_BLOCK)
    rows = np.pad(values, (0, -count % _BLOCK)).reshape(-1, _BLOCK)
    within = np.cumsum(weight * rows / powers, axis=1) * powers
    carried, before = np.empty(len(rows)), 0.0
    for place, last in enumerate(within[:, -1].tolist()):
        carried[place] = before
        before = last + decay * powers[-1] * before
    total = (within + np.outer(carried, decay * powers)).ravel()[:count]
    return np.asarray(total / (1.0 - decay ** np.arange(1.0, count + 1)))


def downsample(values: Sequence[float] | Floats, limit: int = MAX_POINTS) -> list[int]:
    """Return the indices to keep: all, or both ends and the least and greatest of limit/2 buckets.

    >>> downsample([0.0, 5.0, 1.0, 2.0, -3.0, 2.0, 2.0, 2.0], 4)
    [0, 1, 4, 5, 7]
    """
    kept: list[int] = places(np.asarray(values), limit).tolist()
    return kept


def places(values: Floats, limit: int) -> Places:
    """Return what `downsample` does, as an array."""
    count = len(values)
    if count <= limit:
        return np.arange(count)
    width = math.ceil(count / (limit // 2))
    whole = count // width
    buckets = values[: whole * width].reshape(whole, width)
    starts = np.arange(whole) * width
    kept = np.zeros(count, dtype=np.bool_)
    kept[[0, count - 1]] = True
    kept[starts + buckets.argmin(axis=1)] = kept[starts + buckets.argmax(axis=1)] = True
    rest = values[whole * width :]
    if len(rest):
        kept[[whole * width + rest.argmin(), whole * width + rest.argmax()]] = True
    return np.flatnonzero(kept)
