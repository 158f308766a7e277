"""The page that compares runs, and the same as a file for somebody without the monitor."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup

from webui import assets
from webui.address import at
from webui.charts.comparison import compared
from webui.charts.comparison.alignment import AXES
from webui.templating import render

Record = Mapping[str, Any]
Records = Sequence[Record]
MOST_DIFFERENCES = 300  # configuration keys in the table
LONGEST_VALUE = 120
STYLES = ("css/base.css", "css/parts.css", "css/narrow.css", "css/compare.css")


def differences(runs: Records) -> list[tuple[str, list[str | None]]]:
    """Return the configuration keys in which the runs differ, with each run's value as text (None: not set).

    >>> differences([{"config": {"lr": 1, "o": {"b": 2}}}, {"config": {"lr": 1, "o": {"b": 3}}}])
    [('o.b', ['2', '3'])]
    """
    flat = [dict(_leaves(run["config"])) for run in runs]
    keys = sorted({key for one in flat for key in one})
    found = [(key, [one.get(key) for one in flat]) for key in keys]
    return [(key, values) for key, values in found if len(set(values)) > 1]


def _leaves(config: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    waiting = [(prefix, config)]
    while waiting:
        before, inner = waiting.pop()
        for key, value in inner.items():
            if isinstance(value, Mapping) and value:
                waiting.append((f"{before}{key}.", value))
            else:
                found.append((f"{before}{key}", json.dumps(value, ensure_ascii=False).strip('"')))
    return found


def compare_page(runs: Records, asked: Record, *, known: Sequence[str], missing: int) -> str:
    """Return the page; `asked` are the query's `runs`, `metric`, `x`, `group`.

    `known` are the metrics that can be chosen, `missing` says how many of the runs asked for are not here.
    """
    return render("pages/compare.html", **_shown(runs, asked), known=known, missing=missing)


def report(runs: Records, asked: Record, at_time: str) -> str:
    """Return the comparison as one file that shows itself without a network."""
    css = "\n".join(assets.asset(name).body.decode() for name in STYLES)
    colors = (
        assets.asset("js/charts/colors.js").body.decode().replace("export function", "function")
    )
    return render(
        "pages/compare_report.html",
        **_shown(runs, asked),
        css=Markup(css),
        plotly=Markup(assets.plotly_source()),
        colors=Markup(colors),
        at_time=at_time,
    )


def _shown(runs: Records, asked: Record) -> dict[str, Any]:
    axis, metrics, grouped = asked["x"], asked["metric"], bool(asked["group"])
    return {
        "runs": runs,
        "asked": asked,
        "axes": AXES,
        "styles": [compared.style(place) for place in range(len(runs))],
        "figures": compared.metric_figures(runs, metrics, axis, grouped=grouped),
        "cost": compared.cost_figure(runs),
        "left_out": compared.left_out(runs, metrics, axis),
        "differences": [
            (key, [value if value is None else value[:LONGEST_VALUE] for value in values])
            for key, values in differences(runs)[:MOST_DIFFERENCES]
        ],
        "link": lambda path="/compare", **more: _link(path, {**asked, **more}),
        "groups": list(dict.fromkeys(run["group"] for run in runs)) if grouped else [],
    }


def _link(path: str, asked: Record) -> str:
    given = {name: value for name, value in asked.items() if value}
    given["runs"] = ",".join(asked["runs"])
    return at(path) + f"?{urlencode(given, doseq=True, safe=',')}"
