"""Layout, axes and titles of the figures."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from webui import format

Json = dict[str, Any]
Record = Mapping[str, Any]
Limits = Mapping[str, float | None]
ROW, TITLE, LANE = (
    88,
    24,
    40,
)  # px of a chart, of the title above it, of the flags below the last one
MARGIN = {"l": 46, "r": 14, "t": 24, "b": 34}
EVIDENCE_SHOWN = 2.5
"""Levels of `confirm` to which evidence is drawn: it grows to thousands when nobody stops a run, and the
crossing of a level is what matters."""
TITLE_LENGTH = 56  # characters of a formula above a chart
# Buttons are listed explicitly: the default set can upload a chart to a third party.
CONFIG: Json = {
    "responsive": True,
    "displaylogo": False,
    "showTips": False,
    "displayModeBar": "hover",
    "modeBarButtons": [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
    "toImageButtonOptions": {"format": "png", "scale": 2},
}


class ChartRow(NamedTuple):
    """One of the charts: its axis in the layout and of its traces, the metric, the title."""

    axis: str
    on: str
    metric: str
    title: str


def rows(third: str, known: Collection[str]) -> list[ChartRow]:
    """Return the charts from top to bottom, but for the evidence; truncated share only where it is logged."""
    found = [
        ChartRow("yaxis", "y", "format_reward", "Format reward"),
        ChartRow("yaxis2", "y2", "completion_length", "Completion length, tokens"),
        ChartRow("yaxis3", "y3", third, format.metric(third).capitalize()),
    ]
    if "clipped_ratio" in known:
        found.append(ChartRow("yaxis6", "y6", "clipped_ratio", "Truncated share"))
    return found


def height(count: int) -> int:
    """Return the height in px of a figure with so many charts, the evidence included."""
    return MARGIN["t"] + count * (ROW + TITLE) + LANE + MARGIN["b"]


def domains(shown: Sequence[ChartRow]) -> dict[str, tuple[float, float]]:
    """Return the part of the height of each y axis, from top to bottom; the last is the lane of flags."""
    total = (len(shown) + 1) * (ROW + TITLE) + LANE
    tops = [total - place * (ROW + TITLE) - TITLE for place in range(len(shown) + 1)]
    names = [*(one.axis for one in shown), "yaxis4"]
    found = {
        name: ((top - ROW) / total, top / total) for name, top in zip(names, tops, strict=True)
    }
    return {**found, "yaxis5": (0.0, 0.7 * LANE / total)}


def titles(shown: Sequence[ChartRow], known: Mapping[str, Record], limits: Limits) -> list[Json]:
    """Return the title annotation of each chart; it says so if the metric was not logged."""
    tops = {name: high for name, (_, high) in domains(shown).items()}
    named = [_title(tops[one.axis], one.title + _made_of(one.metric, known)) for one in shown]
    cut = limits["confirm"]
    drawn = f" (drawn to {EVIDENCE_SHOWN * cut:g})" if cut else ""
    return [*named, _title(tops["yaxis4"], f"Evidence of a transition{drawn}")]


def _made_of(name: str, known: Mapping[str, Record]) -> str:
    """Return the formula of a role's series, shortened for a title, or that there is none."""
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
        # Not <b>: plotly would write a style attribute, which our content security policy blocks.
        "text": format.charted(text),
        "showarrow": False,
        "font": {"size": 12, "color": "@ink", "weight": "bold"},
    }


def base_layout() -> Json:
    """Return the common layout: theme tokens, margins, one hover box, zoom kept over updates."""
    return {
        "paper_bgcolor": "@surface",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": "@ink_2", "size": 11, "family": "@font"},
        "margin": dict(MARGIN),
        "showlegend": False,
        "hovermode": "x unified",
        "hoversubplots": "axis",
        "hoverlabel": {"bgcolor": "@surface", "bordercolor": "@line", "font": {"color": "@ink"}},
        "uirevision": "keep",
        "dragmode": "zoom",
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": "@ink_3", "activecolor": "@ink"},
    }


def axes(shown: Sequence[ChartRow], limits: Limits) -> Json:
    """Return one shared x axis and the stacked y axes."""
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
    include = {"yaxis": [1], "yaxis3": [0], "yaxis6": [0]}
    for name, domain in domains(shown).items():
        found[name] = line | {
            "domain": list(domain),
            "anchor": "x",
            "nticks": 4,
            "fixedrange": True,
        }
        if name in include:
            found[name]["autorangeoptions"] = {"include": include[name]}
    found["yaxis4"] |= evidence_range(limits)
    found["yaxis5"] |= {"range": [-1, 1], "showgrid": False, "showticklabels": False}
    return found


def evidence_range(limits: Limits) -> Json:
    """Return the range of the evidence: fixed where a level is known, so that the levels never overprint."""
    confirm = limits["confirm"]
    return {"range": [0, EVIDENCE_SHOWN * confirm]} if confirm else {"rangemode": "tozero"}
