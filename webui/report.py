"""A run as one HTML file to send or keep: charts and sections of its page, plotly.js inside, nothing from a network."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from webui import descriptions
from webui.charts import figures
from webui.pages import flat, section
from webui.standalone import inlined
from webui.templating import render
from webui.told import verdict_words

Record = Mapping[str, Any]

SHOWN = (
    "transition",
    "verifications",
    "checkpoints",
    "evaluations",
    "samples",
    "decisions",
    "cost",
    "roles",
)
_STYLES = ("css/base.css", "css/parts.css", "css/narrow.css", "css/run.css", "css/report.css")


def report_page(
    run: Record, *, series: Sequence[Record], segments: Sequence[Record], **data: Any
) -> str:
    """Return the report of a run, about 5 MB; `data` are the keyword arguments of `pages.run_page`."""
    marked = figures.marks(
        run, data["checkpoints"], data["evaluations"], data["verdicts"], data["verifications"]
    )
    figure = figures.run_figures(series, data["verdicts"], marked, segments)
    return render(
        "pages/report.html",
        run=run,
        headline=verdict_words.headline(run),
        charts_words=descriptions.charts(series, run, data["verdicts"]),
        figure=figure,
        others=figures.other_figures(series),
        segments=segments,
        config=flat(run.get("config") or {}),
        sections=[Markup(section(name, run, **data)) for name in SHOWN],
        **inlined(_STYLES),
    )
