"""What a run had reached by a step, besides the step: hours, tokens, epochs; the other x axes of its charts."""

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any

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
        times = list(accumulate(clock.values, max))
        made["time"] = _axis(clock.steps, [(at - times[0]) / _HOUR_S for at in times])
    for name in NAMES[1:]:
        one = found.get(name)
        if one and all(low <= high for low, high in pairwise(one.values)):
            made[name] = _axis(one.steps, one.values)
    return {name: one for name, one in made.items() if one["steps"]}


def _axis(steps: Sequence[int], values: Sequence[float]) -> dict[str, list[float]]:
    kept = downsample(values, MOST)
    return {"steps": [steps[i] for i in kept], "values": [float(f"{values[i]:.7g}") for i in kept]}
