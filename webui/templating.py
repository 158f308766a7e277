"""The Jinja2 environment: autoescaping, missing fields shown as unknown, our filters."""

from collections.abc import Iterable, Mapping
from functools import cache
from importlib.util import find_spec
from typing import Any

from jinja2 import Environment, PackageLoader

from cusp import __version__
from cusp.verification.sequential import MOST_LOOKS
from webui import assets, descriptions, format, svg
from webui.address import at, has_session
from webui.completions import completion_text
from webui.evaluated import forest, published_row
from webui.told import timeline, verdict_words

PALETTE_SIZE = 8


def reported_scores(scores: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return one score for each task: the report set's if there is one, which is unbiased."""
    ordered = sorted(scores, key=lambda s: s["split"] == "report")
    return list({s["task"]: s for s in ordered}.values())


FILTERS = {
    "text": format.text,
    "ago": format.ago,
    "column_label": format.column_label,
    "whole": format.whole,
    "number": format.number,
    "percent": format.percent,
    "points": format.points,
    "usd": format.usd,
    "flops": format.flops,
    "size": format.size,
    "when": format.when,
    "when_after": format.when_after,
    "hours": format.hours,
    "asked_for": timeline.asked_for,
    "duration": format.duration,
    "phase_description": format.phase,
    "metric_words": format.metric,
    "short_metric": format.short_metric,
    "roles": descriptions.roles,
    "verification_words": descriptions.verification,
    "headline": verdict_words.headline,
    "unsaid": verdict_words.unsaid,
    "css_metric": svg.css_name,
    "told": reported_scores,
    "marked": completion_text.marked,
}


def color_index(run_id: str) -> int:
    """Return the run's index in the palette, the same on every page and in runs.js."""
    return sum(ord(letter) for letter in run_id) % PALETTE_SIZE


def asset_url(name: str, *imported: str) -> str:
    """Return the URL of one of our files; digests of it and of its imports invalidate browser caches."""
    digests = (assets.asset(one).etag.strip(chr(34))[:8] for one in (name, *imported))
    return at(f"/static/{name}") + f"?v={'-'.join(digests)}"


def has_parquet() -> bool:
    """Return whether the monitor can write Parquet; without pyarrow a link to it would fail in silence."""
    return find_spec("pyarrow") is not None


@cache
def environment() -> Environment:
    """Return the process's only environment."""
    made = Environment(
        loader=PackageLoader("webui"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(FILTERS)
    made.globals.update(
        asset_url=asset_url,
        map_style_ids=assets.map_style_ids,
        modules_of=assets.modules,
        at=at,
        has_parquet=has_parquet,
        has_session=has_session,
        plotly_path=f"/static/{assets.PLOTLY}",
        color_index=color_index,
        interval=format.interval,
        sparkline=svg.sparkline,
        progress=svg.progress,
        score_bar=svg.score_bar,
        difference_bar=svg.difference_bar,
        evidence_bar=svg.evidence_bar,
        is_best=forest.chosen,
        published_interval=published_row.interval,
        bound_words=descriptions.BOUND,
        comparison_head=descriptions.comparison_head,
        comparison_words=descriptions.comparison,
        no_evaluation_words=descriptions.evaluation_blocked,
        most_looks=MOST_LOOKS,
        version=__version__,
    )
    return made


def render(template: str, **context: object) -> str:
    """Return the template rendered with the context."""
    return environment().get_template(template).render(**context)
