"""Pages and their live sections as HTML, from dicts in the shapes of docs/reference/rest.md."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from cusp.run_config import leaves
from webui import descriptions
from webui.charts import figures
from webui.charts.still import still
from webui.evaluated.benchmark_table import benchmarks, in_order
from webui.evaluated.forest import forest
from webui.templating import render
from webui.told import verdict_words
from webui.told.timeline import timeline

Record = Mapping[str, Any]
Records = Sequence[Record]

SECTIONS: Mapping[str, tuple[str, ...]] = {
    "row": (),
    "header": (),
    "proposal": (),
    "transition": ("verdicts", "verifications"),
    "checkpoints": ("checkpoints", "evaluations"),
    "evaluations": ("checkpoints", "evaluations", "comparison", "jobs"),
    "cost": ("cost",),
    "decisions": ("audit",),
    "commands": (),
    "verifications": ("verifications",),
    "samples": ("samples",),
    "jobs": ("jobs",),
    "roles": (),
    "marks": ("verdicts", "checkpoints", "evaluations", "verifications"),
}
"""Each section that a page fetches at /runs/{id}/sections/{section}, and the data it needs."""

RUN_PARTS: Mapping[str, tuple[str, ...]] = {
    "row": ("attempts", "scores", "values"),
    "header": ("attempts", "scores"),
    "proposal": ("decisions", "change_points"),
    "transition": ("change_points", "decisions"),
    "checkpoints": ("scores",),
    "decisions": ("decisions",),
    "roles": ("roles",),
}
"""What a section shows of the run itself beyond its row and commands: names of the parts of a `Run`."""

NOT_LISTS = ("verdicts", "comparison", "verifications", "samples")
DELETED = "This run was deleted. It can be restored until it is purged."
BEFORE_TRANSITION, AFTER_TRANSITION = "before the transition", "after the transition"


class UnknownSection(KeyError):
    """A run page has no section of this name."""


def run_beginning() -> str:
    """Return the first bytes of every `run_page`: its scripts, which take longer than the rest."""
    return render("pages/run_beginning.html")


def run_page(
    run: Record,
    *,
    series: Records = (),
    verdicts: Record | None = None,
    checkpoints: Records = (),
    evaluations: Records = (),
    comparison: Record | None = None,
    audit: Records = (),
    jobs: Records = (),
    cost: Record | None = None,
    samples: Record | None = None,
    segments: Records = (),
    verifications: Record | None = None,
    x_axes: Record | None = None,
    cursor: int | str = 0,
    database: str = "",
    is_whole: bool = True,
) -> str:
    """Return the page of one run; live updates continue from `cursor` of the database with this id.

    `is_whole`: the charts are asked for as they are, so that the page may carry a picture of them; in another view
    (a zoom, another x axis) only chart.js draws them.

    `segments` are those of a run that is over (monitor/detector/offline.py), `x_axes` what had been reached by a
    step, {name: {steps, values}} of time (hours), tokens and epoch.
    """
    data = {
        "verdicts": verdicts,
        "checkpoints": checkpoints,
        "evaluations": evaluations,
        "comparison": comparison,
        "audit": audit,
        "jobs": jobs,
        "cost": cost,
        "samples": samples,
        "verifications": verifications,
    }
    marked = figures.marks(run, checkpoints, evaluations, verdicts, verifications)
    fetched = {
        name: section(name, run, **data) for name in SECTIONS if name not in ("row", "marks")
    }
    figure = figures.run_figures(series, verdicts, marked, segments)
    return render(
        "pages/run.html",
        run=run,
        cursor=cursor,
        database=database,
        still=still(figure) if is_whole else "",
        charts_words=descriptions.charts(series, run, verdicts),
        figure=figure,
        segments=segments,
        deleted_words=DELETED,
        others=figures.other_figures(series),
        blank=figures.blank_figure(),
        x_axes=x_axes or {},
        config=flat(run.get("config") or {}),
        sections={**fetched, "marks": render("sections/marks.html", marks=marked)},
    )


def section(name: str, run: Record, **data: Any) -> str:
    """Return one section as an HTML fragment whose root element replaces the one with the same id.

    `data` are run_page's keyword arguments; SECTIONS lists those that a section reads. Raises
    UnknownSection.
    """
    if name not in SECTIONS:
        raise UnknownSection(f"there is no section {name!r}; known are {', '.join(SECTIONS)}")
    given = {key: data.get(key) for key in SECTIONS[name]}
    given = {k: v if v is not None or k in NOT_LISTS else () for k, v in given.items()}
    return render(f"sections/{name}.html", run=run, **given, **_derived(name, run, given))


def _derived(name: str, run: Record, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the template variables of a section that are derived from its data."""
    match name:
        case "transition":
            return _verdict_card(run, given["verdicts"], given["verifications"])
        case "proposal":
            return {"proposal": verdict_words.proposal(run)}
        case "decisions":
            return {"entries": timeline(run, given["audit"])}
        case "checkpoints":
            scored = {s["task"] for c in given["checkpoints"] for s in c["scores"]}
            production = (run.get("checkpoints") or {}).get("production")
            return {"production": production, "tasks": in_order(scored)}
        case "evaluations":
            return {
                "words": descriptions.choice(given["comparison"], given["checkpoints"]),
                "plot": forest(given["comparison"]),
                "table": benchmarks(run, given["evaluations"], given["comparison"]),
                "reports": _by_split(given["evaluations"]),
            }
        case "verifications":
            found = (given["verifications"] or {}).get("verifications", ())
            return {"reach": _reach([row for one in found for row in one["comparisons"]])}
        case "jobs":
            return {"shown": _unanswered(given["jobs"])}
        case "samples":
            found = given["samples"] or {"samples": (), "total": 0}
            return {"groups": _sample_groups(run, found["samples"]), "total": found["total"]}
        case "marks":
            return {"marks": figures.marks(run, **given)}
        case _:
            return {}


def _unanswered(jobs: Records) -> list[Record]:
    """Return the jobs that wait or are at work, and those that failed and were not asked for again; newest first."""
    newest: set[str] = set()
    shown = []
    for job in jobs:
        if job["state"] in ("queued", "leased") or (
            job["state"] == "failed" and job["kind"] not in newest
        ):
            shown.append(job)
        newest.add(job["kind"])
    return shown


def _verdict_card(
    run: Record, verdicts: Record | None, verifications: Record | None
) -> dict[str, Any]:
    return {
        "words": descriptions.transition(run, verdicts),
        "evidence": descriptions.evidence_at(run, verdicts),
        "more": verdict_words.more(run),
        "follows": verdict_words.follows(run),
        "verified": verdict_words.verified(verifications),
    }


def flat(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (dotted key, value as text) of a configuration; config.js reads another run's from its page.

    >>> flat({"model": {"name": "m", "r": 32}, "tags": []})
    [('model.name', 'm'), ('model.r', '32'), ('tags', '[]')]
    """
    return [(key, _text(value)) for key, value in leaves(config) if not isinstance(value, Mapping)]


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, default=str, separators=(",", ":"), ensure_ascii=False)


def _reach(rows: Records) -> float:
    """Return the greatest end of the intervals, to scale their bars."""
    ends = [row[end] for row in rows for end in ("low", "high")]
    return max([abs(end) for end in ends if end is not None], default=0.0) or 1.0


def _by_split(evaluations: Records) -> list[tuple[tuple[str, str], list[Record]]]:
    """Return the evaluations grouped by (task, split), the report set first, sorted by step."""
    keys = sorted({(e["task"], e["split"]) for e in evaluations})
    ordered = sorted(evaluations, key=lambda e: e["step"])
    return [(key, [e for e in ordered if (e["task"], e["split"]) == key]) for key in keys]


def _sample_groups(run: Record, samples: Records) -> list[tuple[str, list[Record]]]:
    """Return the samples before and after the transition; one group without a transition."""
    found = run.get("transition")
    ordered = sorted(samples, key=lambda s: s["step"])
    if not found or found["state"] == "dismissed":
        return [("", ordered[::-1])] if ordered else []
    before = [s for s in ordered if s["step"] < found["step"]]
    after = [s for s in ordered if s["step"] >= found["step"]]
    named = [(BEFORE_TRANSITION, before[::-1]), (AFTER_TRANSITION, after)]
    return [(name, group) for name, group in named if group]


def login_page(error: str | None = None, *, wanted: str = "/") -> str:
    """Return the log-in page; its form posts `token` and `next`, the page to show afterwards."""
    return render("pages/login.html", wanted=wanted, error=error)


def error_page(status: int, title: str, detail: str, *, begun: bool = False) -> str:
    """Return an error page: what happened and the way out; with `begun` it starts with `run_beginning`."""
    return render("pages/error.html", status=status, title=title, detail=detail, begun=begun)
