"""Lines of several runs over one x axis, and mean and band of groups of them. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from webui.charts.series import averaged
from webui.format import is_number

AXES = {
    "step": "step",
    "transition": "steps from the transition",
    "time": "hours since the first point",
    "tokens": "tokens",
}
GRID = 300  # places at which the lines of a group are averaged
Record = Mapping[str, Any]


class Line(NamedTuple):
    """One run's values of one metric, x rising."""

    x: list[float]
    y: list[float]

    def averaged(self, smooth: float) -> "Line":
        """Return its moving average, in which what was before weighs `smooth`; 0: itself.

        >>> Line([1, 2], [1.0, 3.0]).averaged(0.5).y
        [1.0, 2.33333]
        """
        if not smooth:
            return self
        found = averaged(np.asarray(self.y), 1.0 - smooth)
        return Line(self.x, [float(f"{v:.6g}") for v in found.tolist()])


class Band(NamedTuple):
    """Mean of a group, and one standard deviation below and above it; equal to it where one run goes on."""

    x: list[float]
    mean: list[float]
    low: list[float]
    high: list[float]


def aligned(run: Record, metric: str, axis: str) -> Line | None:
    """Return a run's values over an axis of `AXES`; None where the metric or the axis is not known of it."""
    one = run["lines"].get(metric)
    if not one or not one["steps"]:
        return None
    kept = [(s, v) for s, v in zip(one["steps"], one["values"], strict=True) if is_number(v)]
    x = _places(run, np.asarray([s for s, _ in kept], dtype=float), axis)
    if x is None or not kept:
        return None
    return Line([float(f"{v:.7g}") for v in x], [float(f"{v:.6g}") for _, v in kept])


def _places(run: Record, steps: Any, axis: str) -> Any:
    if axis == "step":
        return steps
    if axis == "transition":
        found = run.get("transition")
        return None if not found else steps - found["step"]
    known = run["lines"].get({"time": "at", "tokens": "tokens"}[axis])
    if not known or len(known["steps"]) < 2:
        return None
    values = np.maximum.accumulate(np.asarray(known["values"], dtype=float))
    if axis == "time":
        values = (values - values[0]) / 3600
    return np.interp(steps, known["steps"], values)


def band(lines: Sequence[Line]) -> Band:
    """Return mean and spread of the lines at places over their common range, each line within its own ends.

    >>> band([Line([0, 2], [0.0, 2.0]), Line([0, 1], [2.0, 3.0])]).mean[0]
    1.0
    """
    ends = [end for line in lines for end in (line.x[0], line.x[-1])]
    whole = all(value == int(value) for line in lines for value in (line.x[0], line.x[-1]))
    width = max(ends) - min(ends)
    count = min(GRID, int(width) + 1) if whole else GRID
    grid = np.linspace(min(ends), max(ends), max(count, 2))
    nan = float("nan")
    rows = np.array([np.interp(grid, line.x, line.y, left=nan, right=nan) for line in lines])
    there = ~np.isnan(rows)
    n = there.sum(axis=0)
    grid, rows, there, n = grid[n > 0], rows[:, n > 0], there[:, n > 0], n[n > 0]
    values = np.where(there, rows, 0.0)
    mean = values.sum(axis=0) / n
    squares = np.where(there, (rows - mean) ** 2, 0.0).sum(axis=0)
    sd = np.sqrt(squares / np.maximum(n - 1, 1))
    columns = (grid, mean, mean - sd, mean + sd)
    return Band(*([float(f"{v:.6g}") for v in column] for column in columns))
