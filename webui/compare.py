"""The page that compares runs, and the same as a file for somebody without the monitor."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from cusp.run_config import leaves
from webui.address import query_at
from webui.charts.comparison import compared
from webui.charts.comparison.alignment import AXES
from webui.standalone import inlined
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
    flat = [{key: _text(value) for key, value in leaves(run["config"])} for run in runs]
    keys = sorted({key for one in flat for key in one})
    found = [(key, [one.get(key) for one in flat]) for key in keys]
    return [(key, values) for key, values in found if len(set(values)) > 1]


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False).strip('"')


def compare_page(runs: Records, asked: Record, *, known: Sequence[str], missing: int) -> str:
    """Return the page; `asked` are the query's `runs`, `metric`, `x`, `group`, `smooth`.

    `known` are the metrics that can be chosen, `missing` says how many of the runs asked for are not here.
    """
    return render("pages/compare.html", **_shown(runs, asked), known=known, missing=missing)


def report(runs: Records, asked: Record, at_time: str) -> str:
    """Return the comparison as one file that shows itself without a network."""
    return render(
        "pages/compare_report.html",
        **_shown(runs, asked),
        **inlined(STYLES),
        at_time=at_time,
    )


def _shown(runs: Records, asked: Record) -> dict[str, Any]:
    axis, metrics, grouped = asked["x"], asked["metric"], bool(asked["group"])
    return {
        "runs": runs,
        "asked": asked,
        "axes": AXES,
        "styles": [compared.style(place) for place in range(len(runs))],
        "figures": compared.metric_figures(
            runs, metrics, axis, grouped=grouped, smooth=asked["smooth"]
        ),
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
    given = {name: value or None for name, value in asked.items()}
    return query_at(path, {**given, "runs": ",".join(asked["runs"])}, safe=",")
