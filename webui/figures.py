"""Plotly figures as plain JSON-able dicts: `{data, layout, config, cusp}`, drawn by charts.js.

`cusp` carries what the browser needs to extend a figure live. Traces say what they are in `meta`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from webui import charts, evidence, words
from webui import series as lines

Json = dict[str, Any]
Record = Mapping[str, Any]

DOMAINS = {
    "yaxis": (0.785, 0.965),
    "yaxis2": (0.545, 0.725),
    "yaxis3": (0.305, 0.485),
    "yaxis4": (0.065, 0.245),
    "yaxis5": (0.0, 0.045),
}
TITLE_LENGTH = 56  # characters of a formula above a chart
# The buttons are named one by one: the default set can send a chart to a service of others.
CONFIG: Json = {
    "responsive": True,
    "displaylogo": False,
    "displayModeBar": "hover",
    "modeBarButtons": [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
    "toImageButtonOptions": {"format": "png", "scale": 2},
}


def run_figures(
    series: Iterable[Record],
    verdicts: Record | None,
    run: Record,
    checkpoints: Iterable[Record],
    evaluations: Iterable[Record],
) -> Json:
    """Format reward, completion length, accuracy and evidence over one x axis, with all marks."""
    known = lines.by_name(series)
    third = third_metric(known)
    rows = (("format_reward", "y"), ("completion_length", "y2"), (third, "y3"))
    weight = lines.weight_for(max((len(one["steps"]) for one in known.values()), default=0))
    data = [t for name, axis in rows for t in metric_traces(name, known.get(name), axis, weight)]
    data += evidence.evidence_traces(verdicts)
    data += charts.score_traces(evaluations) + charts.flag_traces(checkpoints)
    limits = evidence.levels(verdicts)
    shapes = charts.bands(verdicts) + charts.transition_shapes(run) + evidence.limit_lines(limits)
    layout = base_layout() | axes(limits) | {"shapes": shapes}
    layout["annotations"] = (
        titles(third, known) + charts.labels(run) + evidence.limit_labels(limits)
    )
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
    """Only what changes when checkpoints, scores or change points do: replaces those parts live."""
    limits = evidence.levels(verdicts)
    return {
        "traces": charts.score_traces(evaluations) + charts.flag_traces(checkpoints),
        "shapes": charts.transition_shapes(run) + evidence.limit_lines(limits),
        "annotations": charts.labels(run) + evidence.limit_labels(limits),
    }


def third_metric(known: Mapping[str, Record]) -> str:
    """Accuracy; the whole reward where no accuracy is logged."""
    fallback = "reward" in known and "accuracy_reward" not in known
    return "reward" if fallback else "accuracy_reward"


def metric_traces(
    name: str, one: Record | None, axis: str, weight: float, limit: int = lines.MAX_POINTS
) -> list[Json]:
    """What a later attempt superseded (grey), the values (faint) and their average (strong)."""
    steps, values = lines.pairs(one)
    average = lines.smoothed(values, weight)
    drawn = lines.thinned(values, limit)
    old_steps, old_values = lines.pairs((one or {}).get("superseded"))
    label = words.charted(words.metric(name))
    color = evidence.evidence_color(name)
    place = {"type": "scatter", "yaxis": axis, "hoverinfo": "skip"}
    return [
        place
        | {
            "mode": "markers",
            "name": f"{label}, superseded",
            "meta": {"role": "superseded", "metric": name},
            "x": old_steps,
            "y": old_values,
            "marker": {"color": "@superseded", "size": 4},
        },
        place
        | {
            "mode": "lines",
            "name": label,
            "meta": {"role": "values", "metric": name},
            "x": [steps[i] for i in drawn],
            "y": [values[i] for i in drawn],
            "line": {"color": color, "width": 1},
            "opacity": 0.5,
            "hoverinfo": "x+y+name",
            "hovertemplate": "%{y:.4~g}",
        },
        place
        | {
            "mode": "lines",
            "name": f"{label}, average",
            "meta": {"role": "average", "metric": name},
            "x": [steps[i] for i in drawn],
            "y": [average[i] for i in drawn],
            "line": {"color": color, "width": 2.2},
        },
    ]


def titles(third: str, known: Mapping[str, Record]) -> list[Json]:
    """The name above each chart; says so where a metric has not been logged."""
    rows = (
        ("yaxis", "Format reward", "format_reward"),
        ("yaxis2", "Completion length, tokens", "completion_length"),
        ("yaxis3", words.metric(third).capitalize(), third),
    )
    named = [_title(DOMAINS[axis][1], text + _made_of(name, known)) for axis, text, name in rows]
    return [*named, _title(DOMAINS["yaxis4"][1], "Evidence of a transition")]


def _made_of(name: str, known: Mapping[str, Record]) -> str:
    """What a series of a role is made of, or that there is none; short, as it stands above a chart."""
    if name not in known:
        return " (not logged)" if known else ""
    made_of = str(known[name].get("made_of") or "").replace("rewards/", "")
    short = made_of if len(made_of) <= TITLE_LENGTH else made_of[: TITLE_LENGTH - 1] + "…"
    return f" = {short}" if made_of else ""


def _title(y: float, text: str) -> Json:
    return {
        "name": "title",
        "xref": "paper",
        "yref": "paper",
        "x": 0,
        "y": y,
        "xanchor": "left",
        "yanchor": "bottom",
        # Not <b>: plotly would write it as a style attribute, which the policy of our pages stops.
        "text": words.charted(text),
        "showarrow": False,
        "font": {"size": 12, "color": "@ink", "weight": "bold"},
    }


def base_layout() -> Json:
    """Theme tokens, margins, one hover box for all charts, zoom kept over updates."""
    return {
        "paper_bgcolor": "@surface",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": "@ink_2", "size": 11, "family": "@font"},
        "margin": {"l": 46, "r": 14, "t": 42, "b": 34},
        "showlegend": False,
        "hovermode": "x unified",
        "hoversubplots": "axis",
        "hoverlabel": {"bgcolor": "@surface", "bordercolor": "@line", "font": {"color": "@ink"}},
        "uirevision": "keep",
        "dragmode": "zoom",
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": "@ink_3", "activecolor": "@ink"},
    }


def axes(limits: Mapping[str, float | None]) -> Json:
    """One x axis under everything and five y axes above each other."""
    line = {"gridcolor": "@grid", "linecolor": "@line", "zeroline": False, "automargin": False}
    x = line | {
        "title": {"text": "step", "standoff": 4},
        "anchor": "y5",
        "unifiedhovertitle": {"text": "step %{x}"},
        "tickformat": ",d",
        "showspikes": True,
        "spikemode": "across",
        "spikesnap": "cursor",
        "spikethickness": 1,
        "spikedash": "solid",
        "spikecolor": "@ink_3",
    }
    found: Json = {"xaxis": x}
    include = {"yaxis": [1], "yaxis3": [0], "yaxis4": [0, 1.15 * (limits["confirm"] or 1)]}
    for name, domain in DOMAINS.items():
        found[name] = line | {
            "domain": list(domain),
            "anchor": "x",
            "nticks": 4,
            "fixedrange": True,
        }
        if name in include:
            found[name]["autorangeoptions"] = {"include": include[name]}
    found["yaxis4"]["rangemode"] = "tozero"
    found["yaxis5"] |= {"range": [-1, 1], "showgrid": False, "showticklabels": False}
    return found


def other_figures(series: Iterable[Record], shown: Sequence[str] = ()) -> list[Json]:
    """One small figure for each metric that the four charts do not show, by name."""
    known = lines.by_name(series)
    main = {"format_reward", "completion_length", third_metric(known), *shown}
    return [_small_figure(name, known[name]) for name in sorted(known) if name not in main]


def blank_figure() -> Json:
    """What the browser fills in for a metric that is first logged while the page is open."""
    return _small_figure("", None) | {"words": dict(words.METRIC_WORDS)}


def _small_figure(name: str, one: Record | None) -> Json:
    weight = lines.weight_for(len(one["steps"]) if one else 0)
    line = {"gridcolor": "@grid", "linecolor": "@line", "zeroline": False}
    layout = base_layout() | {
        "margin": {"l": 52, "r": 10, "t": 26, "b": 26},
        "height": 190,
        "title": {
            "text": words.charted(words.metric(name)),
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
