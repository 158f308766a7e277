"""Figures of a comparison: metrics of several runs overlaid, bands of groups, score against cost."""

from collections.abc import Mapping, Sequence
from typing import Any

from webui import format
from webui.charts.comparison.alignment import AXES, Line, aligned, band
from webui.charts.layout import CONFIG, Json, base_layout

Record = Mapping[str, Any]
Records = Sequence[Record]
COLORS = tuple(f"@c{index}" for index in range(8))
DASHES = ("solid", "dash", "dot", "dashdot")  # with the colours 32 lines that differ
HEIGHT = 250
_LINE: Json = {"gridcolor": "@grid", "linecolor": "@line", "zeroline": False, "automargin": True}
_ZERO: Json = {
    "type": "line",
    "x0": 0,
    "x1": 0,
    "yref": "paper",
    "y0": 0,
    "y1": 1,
    "line": {"color": "@transition", "width": 1.4, "dash": "dash"},
}


def metric_figures(
    runs: Records, metrics: Sequence[str], axis: str, *, grouped: bool, smooth: float = 0.0
) -> list[Json]:
    """Return a figure for each metric; `grouped` draws mean and band of the runs of one `group`.

    `smooth` is the weight of what was before in the moving average; 0 draws the values as they are, else they
    stay as a pale line below their average.
    """
    return [_figure(runs, metric, axis, grouped=grouped, smooth=smooth) for metric in metrics]


def left_out(runs: Records, metrics: Sequence[str], axis: str) -> list[str]:
    """Return the names of the runs of which nothing can be drawn over this axis."""
    return [
        run["name"]
        for run in runs
        if not any(aligned(run, metric, axis) is not None for metric in metrics)
    ]


def style(place: int) -> Json:
    """Return colour and dash of the line at a place of the list."""
    return {"color": COLORS[place % 8], "dash": DASHES[place // 8 % 4]}


def _figure(runs: Records, metric: str, axis: str, *, grouped: bool, smooth: float) -> Json:
    found = [
        (place, run, line)
        for place, run in enumerate(runs)
        if (line := aligned(run, metric, axis)) is not None
    ]
    if grouped:
        data = _bands([(place, run, line.averaged(smooth)) for place, run, line in found])
    else:
        data = _averages(found, smooth) if smooth else [_trace(*one) for one in found]
    layout = base_layout() | {
        "height": HEIGHT,
        "margin": {"l": 52, "r": 12, "t": 30, "b": 38},
        "hovermode": "closest" if len(found) > 12 else "x unified",
        "title": _title(format.charted(format.metric(metric))),
        "xaxis": _LINE | {"title": {"text": AXES[axis], "standoff": 4}, "nticks": 8},
        "yaxis": _LINE | {"nticks": 5, "tickformat": "~g"},
    }
    if axis == "transition":
        layout["shapes"] = [_ZERO]
    return {"name": metric, "data": data, "layout": layout, "config": CONFIG}


def _title(text: str) -> Json:
    return {
        "text": text,
        "x": 0.01,
        "y": 0.98,
        "yanchor": "top",
        "font": {"size": 13, "color": "@ink"},
    }


def _trace(place: int, run: Record, line: Line) -> Json:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": format.charted(run["name"]),
        "meta": run["id"],
        "x": line.x,
        "y": line.y,
        "line": {"width": 1.6, **style(place)},
        "hovertemplate": "%{y:.4~g}",
    }


def _averages(found: Sequence[tuple[int, Record, Line]], smooth: float) -> list[Json]:
    """Return the values of all runs, pale, and then their averages; a file of the lines has the values alone."""
    pale: Json = {"opacity": 0.3, "hoverinfo": "skip", "showlegend": False}
    values = [_trace(*one) | pale for one in found]
    for trace in values:
        del trace["hovertemplate"]
    means = [
        _trace(place, run, line.averaged(smooth)) | {"uid": f"average-{run['id']}"}
        for place, run, line in found
    ]
    return [*values, *means]


def _bands(found: Sequence[tuple[int, Record, Line]]) -> list[Json]:
    """Return the bands of all groups and then their means, which no band covers."""
    members: dict[str, list[Line]] = {}
    for _, run, line in found:
        members.setdefault(run["group"], []).append(line)
    bands: list[Json] = []
    means: list[Json] = []
    for place, (name, lines) in enumerate(members.items()):
        one, look = band(lines), style(place)
        edge: Json = {"type": "scatter", "mode": "lines", "x": one.x, "hoverinfo": "skip"}
        edge |= {"line": {"width": 0, "color": look["color"]}, "showlegend": False}
        # A trace's opacity does not reach its fill: the colour itself is transparent.
        filled: Json = {"y": one.high, "fill": "tonexty", "fillcolor": f"{look['color']}_fill"}
        bands += [edge | {"y": one.low}, edge | filled]
        label = f"{format.charted(name)} ({len(lines)})"
        mean = edge | {"y": one.mean, "name": label, "line": {"width": 2, **look}}
        means.append(mean | {"hoverinfo": "all", "hovertemplate": "%{y:.4~g}", "showlegend": True})
    return [*bands, *means]


def cost_figure(runs: Records) -> Json | None:
    """Return the score of each run's kept checkpoint, with its interval, against what the run cost.

    The cost is in dollars where every scored run has a price, else hours of training. None without a score.
    """
    scored = [(place, run) for place, run in enumerate(runs) if run.get("score")]
    if not scored:
        return None
    priced = all(run.get("spent_usd") is not None for _, run in scored)
    data = [_mark(place, run, priced=priced) for place, run in scored]
    layout = base_layout() | {
        "height": HEIGHT + 50,
        "margin": {"l": 56, "r": 12, "t": 30, "b": 42},
        "hovermode": "closest",
        "title": _title("pass@1 against cost"),
        "xaxis": _LINE | {"title": {"text": "US dollars" if priced else "hours of training"}},
        "yaxis": _LINE | {"tickformat": ".0%", "nticks": 6},
    }
    return {"name": "cost", "data": data, "layout": layout, "config": CONFIG}


def _mark(place: int, run: Record, *, priced: bool) -> Json:
    """Return the score of one run with its interval."""
    score, value = run["score"], run["score"]["pass_at_1"]
    low, high = (score[end] if score[end] is not None else value for end in ("low", "high"))
    return {
        "type": "scatter",
        "mode": "markers",
        "name": format.charted(run["name"]),
        "meta": run["id"],
        "x": [run["spent_usd"] if priced else run["elapsed_s"] / 3600],
        "y": [value],
        "error_y": _interval(value - low, high - value),
        "marker": {"size": 10, "color": style(place)["color"], "symbol": place // 8 % 4},
        "hovertemplate": "%{y:.1%} for %{x:.3~g}",
    }


def _interval(below: float, above: float) -> Json:
    return {
        "type": "data",
        "symmetric": False,
        "array": [above],
        "arrayminus": [below],
        "thickness": 1.2,
    }
