"""Plotly figures as JSON-able dicts `{data, layout, config, cusp}`, drawn by chart.js.

`cusp` holds the data with which the browser extends a figure live. `meta` names a trace's kind.
"""

from collections.abc import Iterable, Mapping, Sequence

from webui import format
from webui.charts import layout as layout_of
from webui.charts import overlays, score_marks, traces
from webui.charts import series as lines
from webui.charts.layout import CONFIG, Json, Record, base_layout
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
    shown = layout_of.rows(third_metric(known), known)
    longest = max(known.values(), key=lines.length, default=None)
    weight = lines.weight_for(lines.length(longest) if longest else 0)
    data = [
        trace
        for one in shown
        for trace in metric_traces(one.metric, known.get(one.metric), one.on, weight)
    ]
    data += traces.segment_traces(segments, {one.metric: one.on for one in shown[:3]})
    data += traces.evidence_traces(verdicts) + marked["traces"]
    return {
        "data": data,
        "layout": _layout(shown, known, verdicts, marked),
        "config": CONFIG,
        "cusp": {
            "smoothing": weight,
            "stride": lines.stride(longest),
            "rows": len(shown) + 1,
            "logged": [one.axis for one in shown],
            "last_step": max((t["x"][-1] for t in data if t["x"]), default=None),
        },
    }


def _layout(
    shown: Sequence[layout_of.ChartRow],
    known: Mapping[str, Record],
    verdicts: Record | None,
    marked: Record,
) -> Json:
    limits = overlays.levels(verdicts)
    return {
        **base_layout(),
        **layout_of.axes(shown, limits),
        "height": layout_of.height(len(shown) + 1),
        "shapes": overlays.bands(verdicts) + marked["shapes"],
        "annotations": layout_of.titles(shown, known, limits) + marked["annotations"],
    }


def marks(
    run: Record,
    checkpoints: Iterable[Record],
    evaluations: Iterable[Record],
    verdicts: Record | None,
    verifications: Record | None = None,
) -> Json:
    """Return the parts of the figure that depend on checkpoints, scores and change points, for live updates."""
    limits = overlays.levels(verdicts)
    return {
        "evidence": layout_of.evidence_range(limits),
        "traces": [
            *score_marks.score_traces(evaluations),
            score_marks.verification_trace(verifications),
            *traces.flag_traces(checkpoints),
        ],
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
    main = {one.metric for one in layout_of.rows(third_metric(known), known)} | set(shown)
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
        "group": name.partition("/")[0] if "/" in name else "",
        "data": metric_traces(name, one, "y", weight, lines.MAX_POINTS_SMALL),
        "layout": layout,
        "config": CONFIG | {"displayModeBar": False},
        "cusp": {"smoothing": weight, "stride": lines.stride(one), "logged": ["yaxis"]},
    }
