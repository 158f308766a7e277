"""Layout, axes and titles of the figures."""

from collections.abc import Mapping
from typing import Any

from webui import format

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
# Buttons are listed explicitly: the default set can upload a chart to a third party.
CONFIG: Json = {
    "responsive": True,
    "displaylogo": False,
    "displayModeBar": "hover",
    "modeBarButtons": [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
    "toImageButtonOptions": {"format": "png", "scale": 2},
}


def titles(third: str, known: Mapping[str, Record]) -> list[Json]:
    """Return the title annotation of each chart; it says so if the metric was not logged."""
    rows = (
        ("yaxis", "Format reward", "format_reward"),
        ("yaxis2", "Completion length, tokens", "completion_length"),
        ("yaxis3", format.metric(third).capitalize(), third),
    )
    named = [_title(DOMAINS[axis][1], text + _made_of(name, known)) for axis, text, name in rows]
    return [*named, _title(DOMAINS["yaxis4"][1], "Evidence of a transition")]


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
    """Return one shared x axis and five stacked y axes."""
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
