"""What a run had reached by a step, besides the step: hours, tokens, epochs; the other x axes of its charts."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.store import points
from webui.charts.series import downsample

NAMES = (points.AT, "tokens", "epoch")
MOST = 400  # points of an axis; between them the charts draw a straight line
_HOUR_S = 3600.0


def x_axes(found: Mapping[str, points.Series]) -> dict[str, Any]:
    """Return {"time" | "tokens" | "epoch": {"steps", "values"}}, each rising; one that is not logged is left out.

    Time is in hours since the first step by the trainer's clock, which is held where it was set back. Tokens or
    epochs that fall (a resumed attempt counted anew) say nothing of the run and are left out.
    """
    made: dict[str, Any] = {}
    if clock := found.get(points.AT):
        times = np.maximum.accumulate(clock.counted.values)
        made["time"] = _axis(clock.counted.steps, (times - times[:1]) / _HOUR_S)
    for name in NAMES[1:]:
        one = found.get(name)
        if one and (np.diff(one.counted.values) >= 0).all():
            made[name] = _axis(one.counted.steps, one.counted.values)
    return {name: one for name, one in made.items() if one["steps"]}


def _axis(steps: NDArray[np.int64], values: NDArray[np.float64]) -> dict[str, list[float]]:
    kept = downsample(values, MOST)
    return {
        "steps": steps[kept].tolist(),
        "values": [float(f"{value:.7g}") for value in values[kept].tolist()],
    }
