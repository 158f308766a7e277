"""Segmentation of a finished or replayed run by ruptures: stretches of constant trend, and where it got worse.

Each metric is transformed as in the scan and averaged over blocks, in units of the long-run noise of a block
(`signal/blocks.py`); PELT finds the straight lines that fit all metrics at once. So a rise, its end and the end of
a fall of length are changes, a steady run has none, and noise that lasts is not taken for levels.
A change is one *for the worse* where a metric jumps or bends against its good direction; only those can agree with
a transition. Calibrated by `python -m benchmarks.detector.segmentation`.

References: Truong et al. (2020) Signal Process. 167; Killick et al. (2012) JASA 107.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.detector.signal.blocks import BlockRow, block_edges, block_row, block_size
from monitor.detector.signal.history import Array
from monitor.detector.signal.metrics import METRICS, measured
from monitor.detector.types import RunShape, Sample

_LEAST_BLOCKS, _LEAST_POINTS = 4, 8  # of a segment; a line has two parameters
_LEAST_RUN = 4 * _LEAST_POINTS  # points
_PENALTY = 2.0  # times metrics times log(blocks); `benchmarks.detector.segmentation`
_SIGNIFICANT = 3.0  # sd of a jump or a bend; the same table
_AT_ENDS = 6  # blocks; by judgement
_SHORT = {metric.name: metric.short for metric in METRICS}
Steps = NDArray[np.int64]
CHANCE = 0.15  # agreement is told of only if an interval placed at random would agree more rarely (issue 12)


@dataclass(frozen=True)
class Segment:
    """A stretch of constant trend, both steps included.

    `means` are raw values, `ends` the values of the fitted line at both ends.
    """

    from_step: int
    to_step: int
    means: Mapping[str, float]
    ends: Mapping[str, tuple[float, float]]

    @property
    def words(self) -> str:
        """The trend of each metric.

        >>> Segment(1, 80, {}, {"format_reward": (0.1, 0.92), "completion_length": (310.4, 1804.2)}).words
        'format 0.1 to 0.92, length 310 to 1804'
        """
        short = {metric.name: metric.short for metric in METRICS}
        return ", ".join(
            f"{short[n]} {_shown(a)} to {_shown(b)}" for n, (a, b) in self.ends.items()
        )


@dataclass(frozen=True)
class Segmentation:
    """All segments; `change_steps` are the last steps before each change, `worse` maps those for the worse to metrics.

    `resolution` is the number of steps of a block: dates are no finer. `words` describes the method.
    """

    segments: tuple[Segment, ...]
    change_steps: tuple[int, ...]
    words: str
    worse: Mapping[int, tuple[str, ...]]
    resolution: int = 1

    def agrees(self, low: int, high: int) -> bool:
        """Return whether a change for the worse lies within `[low, high]`, plus or minus one block."""
        return self.within(low, high) is not None

    def records(self) -> list[dict[str, Any]]:
        """Return the segments as JSON objects; `worse`: the metrics that get worse after it."""
        return [
            {
                "from_step": one.from_step,
                "to_step": one.to_step,
                "ends": {name: list(ends) for name, ends in one.ends.items()},
                "words": one.words,
                "worse": [_SHORT[name] for name in self.worse.get(one.to_step, ())],
            }
            for one in self.segments
        ]

    def within(self, low: int, high: int) -> int | None:
        """Return the step of the first change for the worse within `[low, high]`, plus or minus one block.

        >>> Segmentation((), (40, 90), "", {90: ("format_reward",)}).within(80, 100)
        90
        """
        found = (s for s in self.worse if low - self.resolution <= s <= high + self.resolution)
        return min(found, default=None)

    def chance(self, low: int, high: int) -> float:
        """Return the share of all places in the run at which an interval as wide as `[low, high]` would agree.

        >>> run = Segment(1, 100, {}, {})
        >>> round(Segmentation((run,), (40,), "", {40: ()}).chance(10, 18), 2)
        0.12
        """
        if not self.segments:
            return 0.0
        width = high - low
        first, last = self.segments[0].from_step, self.segments[-1].to_step
        places = range(first, max(last - width, first) + 1)
        return sum(self.agrees(place, place + width) for place in places) / len(places)


class _Line(NamedTuple):
    """A fitted line: value at the first and last block, mean, slope a block, noise of a block.

    `head` and `tail` are the means of the blocks at its ends: a line overshoots where a curve bends gently.
    """

    first: float
    last: float
    head: float
    tail: float
    mean: float
    slope: float
    blocks: int
    noise: float


def second_opinion(samples: Sequence[Sample], shape: RunShape) -> Segmentation:
    """Return the segmentation of a run; with too few points no segments, and the reason in `words`."""
    steps = np.array([sample.step for sample in samples], dtype=np.int64)
    return segmented(steps, {one.name: _column(samples, one.name) for one in METRICS}, shape)


def segmented(steps: Steps, raw: Mapping[str, Array], shape: RunShape) -> Segmentation:
    """Return what `second_opinion` does, of the rising steps of a run and the value of each metric at them.

    Values are NaN where a metric was not measured.
    """
    usable = {name: row for name, row in raw.items() if np.isfinite(row).sum() >= _LEAST_RUN}
    if not usable:
        return Segmentation((), (), f"fewer than {_LEAST_RUN} points: too few to segment", {})
    edges = block_edges(len(steps))
    rows = {name: block_row(name, values, edges, shape) for name, values in usable.items()}
    ends = _ends(
        list(rows.values()), max(_LEAST_BLOCKS, math.ceil(_LEAST_POINTS / block_size(len(steps))))
    )
    lines = [
        {name: _line(row.values[a:b], row.noise[a:b]) for name, row in rows.items()}
        for a, b in zip([0, *ends[:-1]], ends, strict=True)
    ]
    cuts = [0, *(int(edges[end]) for end in ends)]
    segments = tuple(
        _segment(steps[a:b], {name: row[a:b] for name, row in usable.items()}, rows, line)
        for a, b, line in zip(cuts, cuts[1:], lines, strict=False)
    )
    worse = {
        before.to_step: names
        for before, one, other in zip(segments, lines, lines[1:], strict=False)
        if (names := tuple(n for n, row in rows.items() if _is_worse(row, one[n], other[n])))
    }
    words = f"{len(segments)} stretches of constant trend in {', '.join(usable)}"
    changes = tuple(one.to_step for one in segments[:-1])
    return Segmentation(segments, changes, words, worse, _resolution(steps))


def _shown(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.2g}"


def _column(samples: Sequence[Sample], name: str) -> Array:
    found = [measured(sample.metrics, name) for sample in samples]
    return np.array([math.nan if one is None else one for one in found], dtype=np.float64)


def _resolution(steps: Steps) -> int:
    size = block_size(len(steps))
    return math.ceil(size * int(steps[-1] - steps[0]) / max(len(steps) - 1, 1))


def _ends(rows: Sequence[BlockRow], least: int) -> Sequence[int]:
    """Return the blocks at which segments end, the last one being the number of blocks."""
    from monitor.detector.trend_cost import segment_ends

    blocks = len(rows[0].values)
    if blocks < 2 * least:
        return [blocks]
    values = np.column_stack([row.values - row.values.mean() for row in rows])
    noise = np.column_stack([row.noise for row in rows])
    return segment_ends(values, noise, _PENALTY * len(rows) * math.log(blocks), least)


def _line(values: Array, noise: Array) -> _Line:
    count, mean = len(values), float(values.mean())
    index = np.arange(count) - (count - 1) / 2
    slope = float(index @ values) * 12 / (count * (count * count - 1)) if count > 2 else 0.0
    half = slope * (count - 1) / 2
    head, tail = float(values[:_AT_ENDS].mean()), float(values[-_AT_ENDS:].mean())
    sd = math.sqrt(float(np.mean(noise * noise)))
    return _Line(mean - half, mean + half, head, tail, mean, slope, count, sd)


def _is_worse(row: BlockRow, one: _Line, other: _Line) -> bool:
    """Return whether a metric gets worse from one line to the other, by a jump or by a bend that matters.

    The variance of a line's end is 4 / blocks, of its slope 12 / blocks^3, in units of that of a block.
    """
    bad, effect = row.scale.metric.bad, row.scale.effect
    before = max(bad * one.last, bad * one.tail)
    if max(bad * other.mean, bad * other.last) - before <= effect:
        return False
    jump = min(bad * other.first, bad * other.head) - before
    bend = bad * (other.slope - one.slope)
    ends = math.hypot(one.noise / math.sqrt(one.blocks), other.noise / math.sqrt(other.blocks))
    slopes = math.hypot(one.noise / one.blocks**1.5, other.noise / other.blocks**1.5)
    jumps = jump > max(effect, _SIGNIFICANT * 2 * ends)
    return jumps or (bend > _SIGNIFICANT * math.sqrt(12) * slopes and bad * other.mean > before)


def _segment(
    steps: Steps,
    raw: Mapping[str, Array],
    rows: Mapping[str, BlockRow],
    lines: Mapping[str, _Line],
) -> Segment:
    parts = {name: values[np.isfinite(values)] for name, values in raw.items()}
    means = {name: float(part.mean()) for name, part in parts.items() if len(part)}
    ends = {
        name: (rows[name].scale.back(at.first), rows[name].scale.back(at.last))
        for name, at in lines.items()
    }
    return Segment(int(steps[0]), int(steps[-1]), means, ends)
