"""A whole run's metric by block: transformed, clipped, averaged over at most 128 blocks, with the noise of a block.

For the segmentation of a finished run, which may look both ways in time. Reference of the clip: Hampel (1974) JASA 69.
"""

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.detector.signal.history import Array
from monitor.detector.signal.metrics import METRICS, Metric, Scale
from monitor.detector.types import RewardRange, RunShape

_BLOCKS = 128  # 256 found no more of the generator's transitions, and twice the false changes
_MEDIAN_OF, _CLIP = 33, 3.0  # points and sd, as in the scan (signal/transform.py)
_SCALES = (1, 2, 4, 8)  # blocks; noise that lasts is seen in the longer ones
_NEIGHBOURS = 33  # blocks; by judgement
_MOST_LASTING = 2.0  # times the noise of a block; 1, 1.3, 1.6, 2.5 were tried
_QUIETEST = 0.25  # of the whole run's noise; by judgement
_TO_SIGMA = 1.4826 / math.sqrt(6)  # a median of absolute second differences to an sd
_SPARSE = 0.8  # of the root mean square, as in noise.py: changes are in it, too
Edges = NDArray[np.int_]


class BlockRow(NamedTuple):
    """One metric by block in transformed units, with the long-run noise sd at each block."""

    scale: Scale
    values: Array
    noise: Array


def block_size(points: int) -> int:
    """Return how many points a block has."""
    return max(1, math.ceil(points / _BLOCKS))


def block_edges(points: int) -> Edges:
    """Return the points at which blocks begin, and the end; the first block takes the remainder."""
    size = block_size(points)
    count = points // size
    edges = points - size * np.arange(count, -1, -1)
    edges[0] = 0
    return edges


def block_row(name: str, raw: Array, edges: Edges, shape: RunShape) -> BlockRow:
    """Return the means of a metric's blocks and their noise; at least one of its `raw` values must be finite."""
    seen = np.isfinite(raw)
    metric = next(one for one in METRICS if one.name == name)
    scale = Scale(metric, _with_range(shape, metric, raw[seen]))
    where = np.flatnonzero(seen)
    values = _clipped(scale.forward_all(raw[seen]))
    filled = np.interp(np.arange(len(raw)), where, values)  # a line over gaps: no change of its own
    means = np.add.reduceat(filled, edges[:-1]) / np.diff(edges)
    floor = scale.floor / math.sqrt(float(np.median(np.diff(edges))))
    return BlockRow(scale, means, np.maximum(_noise(means), max(floor, 1e-9)))


def _with_range(shape: RunShape, metric: Metric, seen: Array) -> RunShape:
    """Return the shape; a reward that leaves [0, 1] and whose range was not told has that of its values."""
    low, high = float(seen.min()), float(seen.max())
    if metric.kind != "share" or metric.name in shape.rewards or (low >= 0 and high <= 1):
        return shape
    span = RewardRange(min(low, 0.0), max(high, 1.0), graded=True)
    return replace(shape, rewards={**shape.rewards, metric.name: span})


def _clipped(values: Array) -> Array:
    """Return the values clipped to their running median: one bad batch is no level."""
    spread = _TO_SIGMA * float(np.median(np.abs(np.diff(values, 2))))
    if spread == 0.0:
        return values
    padded = np.pad(values, _MEDIAN_OF // 2, mode="reflect" if len(values) > _MEDIAN_OF else "edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, _MEDIAN_OF)
    # Nothing is NaN here, which np.median would look for in twice the time.
    middle = np.partition(windows, _MEDIAN_OF // 2, axis=1)[:, _MEDIAN_OF // 2]
    return np.asarray(np.clip(values, middle - _CLIP * spread, middle + _CLIP * spread))


def _noise(means: Array) -> Array:
    """Return the long-run noise sd at each block: that of its neighbourhood, times what longer scales add to it.

    Medians keep changes out. A run is often noisier after its transition, and would hide it.
    """
    every = _bends(means, 1)
    whole, middle = float(_typical(every)), float(np.median(every))
    if whole == 0.0:
        return np.zeros(len(means))
    lasting = [
        float(np.median(_bends(means, scale))) * math.sqrt(scale) / middle
        for scale in _SCALES
        if middle > 0 and len(means) >= 12 * scale
    ]
    wide = min(_NEIGHBOURS, len(every))
    middles = _typical(np.lib.stride_tricks.sliding_window_view(every, wide))
    at = np.clip(np.arange(len(means)) - 1 - wide // 2, 0, len(middles) - 1)
    local = np.maximum(middles[at], _QUIETEST * whole)
    return np.asarray(min(max(lasting, default=1.0), _MOST_LASTING) * local)


def _typical(bends: Array) -> Array:
    """Return the noise sd over the last axis of absolute second differences.

    The median of a sparse reward is 0, so their root mean square has a say.
    """
    robust = _TO_SIGMA * np.median(bends, axis=-1)
    plain = _SPARSE * np.sqrt(np.mean(bends * bends, axis=-1) / 6)
    return np.asarray(np.maximum(robust, plain))


def _bends(means: Array, scale: int) -> Array:
    """Return the absolute second differences of means over `scale` blocks."""
    total = np.concatenate(([0.0], np.cumsum(means)))
    level = (total[scale:] - total[:-scale]) / scale
    bends: Array = np.abs(level[2 * scale :] - 2 * level[scale:-scale] + level[: -2 * scale])
    return bends
