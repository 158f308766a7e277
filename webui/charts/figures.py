"""Plotly figures as JSON-able dicts `{data, layout, config, cusp}`, drawn by chart.js.

`cusp` holds the data with which the browser extends a figure live. `meta` names a trace's kind.
"""

from collections.abc import Iterable, Mapping, Sequence

from webui import format
from webui.charts import overlays, traces
from webui.charts import series as lines
from webui.charts.layout import CONFIG, Json, Record, axes, base_layout, titles
from webui.charts.traces import metric_traces


def run_figures(
    series: Iterable[Record],
    verdicts: Record | None,
    marked: Record,
    segments: Iterable[Record] = (),
) -> Json:
    """Format reward, completion length, accuracy and evidence over one x axis.

    `marked` are their `marks`, `segments` the stretches of constant trend of a run that is over.
    """
    known = lines.by_name(series)
    third = third_metric(known)
    rows = (("format_reward", "y"), ("completion_length", "y2"), (third, "y3"))
    weight = lines.weight_for(max((lines.length(one) for one in known.values()), default=0))
    data = [t for name, axis in rows for t in metric_traces(name, known.get(name), axis, weight)]
    data += traces.segment_traces(segments, dict(rows))
    data += traces.evidence_traces(verdicts) + marked["traces"]
    layout = base_layout() | axes(overlays.levels(verdicts))
    layout["shapes"] = overlays.bands(verdicts) + marked["shapes"]
    layout["annotations"] = titles(third, known) + marked["annotations"]
    return {
        "data": data,
        "layout": layout,
        "config": CONFIG,
        "cusp": {
            "smoothing": weight,
            "last_step": max((t["x"][-1] for t in data if t["x"]), default=None),
        },
    }


def marks(
    run: Record,
    checkpoints: Iterable[Record],
    evaluations: Iterable[Record],
    verdicts: Record | None,
) -> Json:
    """Return the parts of the figure that depend on checkpoints, scores and change points, for live updates."""
    limits = overlays.levels(verdicts)
    return {
        "traces": traces.score_traces(evaluations) + traces.flag_traces(checkpoints),
        "shapes": overlays.transition_shapes(run) + overlays.limit_lines(limits),
        "annotations": overlays.labels(run) + overlays.limit_labels(limits),
    }


def third_metric(known: Mapping[str, Record]) -> str:
    """Return the metric of the third chart: accuracy, or the total reward if no accuracy is logged."""
    fallback = "reward" in known and "accuracy_reward" not in known
    return "reward" if fallback else "accuracy_reward"


def other_figures(series: Iterable[Record], shown: Sequence[str] = ()) -> list[Json]:
    """Return a small figure for each metric that the four charts do not show, by name."""
    known = lines.by_name(series)
    main = {"format_reward", "completion_length", third_metric(known), *shown}
    return [_small_figure(name, known[name]) for name in sorted(known) if name not in main]


def blank_figure() -> Json:
    """Return the template figure for a metric that is first logged while the page is open."""
    return _small_figure("", None) | {"words": dict(format.METRIC_WORDS)}


def _small_figure(name: str, one: Record | None) -> Json:
    weight = lines.weight_for(lines.length(one) if one else 0)
    line = {"gridcolor": "@grid", "linecolor": "@line", "zeroline": False}
    layout = base_layout() | {
        "margin": {"l": 52, "r": 10, "t": 26, "b": 26},
        "height": 190,
        "title": {
            "text": format.charted(format.metric(name)),
            "x": 0.02,
            "y": 0.96,
            "font": {"size": 12, "color": "@ink"},
        },
        "xaxis": line | {"tickformat": ",d", "nticks": 6},
        "yaxis": line | {"nticks": 5, "fixedrange": True, "tickformat": "~g"},
    }
    return {
        "name": name,
        "data": metric_traces(name, one, "y", weight, lines.MAX_POINTS_SMALL),
        "layout": layout,
        "config": CONFIG | {"displayModeBar": False},
        "cusp": {"smoothing": weight},
    }
