"""Second opinion: offline segmentation of the whole run by ruptures, on suspicion and at the end.

Kernel change-point detection with a linear kernel (least squares, exact, in C); each metric in units of its
noise from second differences (an overall sd would be inflated by the rise); penalty 3 d log n for d metrics
(study, part 5). Never run per step: it costs O(n^2).

References: Celisse et al. (2018) Comput. Stat. Data Anal. 128; Truong et al. (2020) Signal Process. 167.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from monitor.detector.signal.history import Array
from monitor.detector.signal.metrics import METRICS, Scale, measured
from monitor.detector.signal.noise import noise_of
from monitor.detector.types import RunShape, Sample

_LEAST_SEGMENT = 8  # points; study, part 5
_LEAST_POINTS = 4 * _LEAST_SEGMENT  # twice the fewest points that `predict` accepts (study, part 5)
_MOST_POINTS = 4000  # KernelCPD of 2 metrics takes 10 ms at 3,600 points (study, part 5)


@dataclass(frozen=True)
class Segment:
    """A segment of constant level: first and last step, and the mean of every metric in raw units."""

    from_step: int
    to_step: int
    means: dict[str, float]


@dataclass(frozen=True)
class Segmentation:
    """All segments; `change_steps` are the last steps before each change; `words` describes the method."""

    segments: tuple[Segment, ...]
    change_steps: tuple[int, ...]
    words: str

    def agrees(self, low: int, high: int) -> bool:
        """Return whether a change was found within `[low, high]`.

        >>> Segmentation((), (40, 90), "").agrees(80, 100)
        True
        """
        return any(low <= step <= high for step in self.change_steps)


def second_opinion(samples: Sequence[Sample], shape: RunShape) -> Segmentation:
    """Return the segmentation of a run; with too few points no segments, and the reason in `words`."""
    thinned = samples[:: max(1, math.ceil(len(samples) / _MOST_POINTS))]
    rows = {metric.name: _row(thinned, metric.name) for metric in METRICS}
    usable = {name: row for name, row in rows.items() if np.isfinite(row).sum() >= _LEAST_POINTS}
    if not usable:
        return Segmentation(
            (), (), f"fewer than {_LEAST_POINTS} points: too few for a second opinion"
        )
    signal = np.column_stack([_standardised(name, row, shape) for name, row in usable.items()])
    ends = _ends(signal)
    starts = [0, *ends[:-1]]
    segments = tuple(
        Segment(thinned[a].step, thinned[b - 1].step, _means(usable, a, b))
        for a, b in zip(starts, ends, strict=True)
    )
    words = f"{len(segments)} segments of {', '.join(usable)} over {len(thinned)} points"
    return Segmentation(segments, tuple(thinned[end - 1].step for end in ends[:-1]), words)


def _row(samples: Sequence[Sample], name: str) -> Array:
    found = [measured(sample.metrics, name) for sample in samples]
    return np.array([math.nan if one is None else one for one in found], dtype=np.float64)


def _standardised(name: str, row: Array, shape: RunShape) -> Array:
    """Return the metric in units of its noise, gaps filled with the last value."""
    scale = Scale(next(metric for metric in METRICS if metric.name == name), shape)
    for value in row[np.isfinite(row)]:
        scale.learn_range(float(value))
    values = np.array([scale.forward(value) if math.isfinite(value) else math.nan for value in row])
    seen = np.isfinite(values)
    noise = noise_of(values[seen])
    held = values[np.maximum.accumulate(np.where(seen, np.arange(len(values)), int(seen.argmax())))]
    return np.asarray((held - held.mean()) / max(noise.point if noise else 0.0, scale.floor, 1e-9))


def _ends(signal: Array) -> list[int]:
    """Return the ends of the segments, the last one being the number of points."""
    import ruptures

    points, metrics = signal.shape
    search = ruptures.KernelCPD(kernel="linear", min_size=_LEAST_SEGMENT).fit(signal)
    found: list[int] = search.predict(pen=3 * metrics * math.log(points))
    return found


def _means(rows: dict[str, Array], a: int, b: int) -> dict[str, float]:
    parts = {name: row[a:b][np.isfinite(row[a:b])] for name, row in rows.items()}
    return {name: float(part.mean()) for name, part in parts.items() if len(part)}
