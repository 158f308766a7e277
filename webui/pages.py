"""Whole pages and their live sections as HTML. Input: the shapes of docs/reference/rest.md."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode

from webui import descriptions
from webui.address import at
from webui.charts import figures
from webui.templating import render

Record = Mapping[str, Any]
Records = Sequence[Record]

SECTIONS: Mapping[str, tuple[str, ...]] = {
    "row": (),
    "header": (),
    "transition": ("verdicts",),
    "checkpoints": ("checkpoints", "evaluations"),
    "evaluations": ("checkpoints", "evaluations", "comparison", "jobs"),
    "decisions": ("audit",),
    "commands": (),
    "samples": ("samples",),
    "jobs": ("jobs",),
    "roles": (),
    "marks": ("verdicts", "checkpoints", "evaluations"),
}
"""Each section that a page fetches at /runs/{id}/sections/{section}, and the data it needs."""

RUN_PARTS: Mapping[str, tuple[str, ...]] = {
    "row": ("attempts", "scores", "values"),
    "header": ("attempts", "scores"),
    "transition": ("change_points",),
    "checkpoints": ("scores",),
    "decisions": ("decisions",),
    "roles": ("roles",),
}
"""What a section shows of the run itself beyond its row and commands: names of the parts of a `Run`."""

STATUSES = ("running", "stopping", "stopped", "finished", "failed", "lost")
BEFORE_TRANSITION, AFTER_TRANSITION = "before the transition", "after the transition"


class UnknownSection(KeyError):
    """There is no such section of a run page."""


class Place(NamedTuple):
    """Where a page of the table is: how many runs there are, how many come before it in the list.

    `older` and `newer` are the `before` of the pages around it; `newer` is None for the first one too.
    """

    total: int
    first: int = 0
    older: str | None = None
    newer: str | None = None


def runs_page(
    runs: Records,
    *,
    project: str | None = None,
    cursor: int = 0,
    place: Place | None = None,
    asked: Record | None = None,
    database: str = "",
    needs_token: bool = False,
) -> str:
    """A page of the table of runs; `cursor` is where /api/v1/events goes on.

    `asked` are the query parameters that chose the runs, besides `project` and the place. `database` is
    the id of what it shows; `needs_token`: who sends a run here has to bring one.
    """
    place = place or Place(len(runs))
    kept = {"project": project, **(asked or {})}
    kept = {name: value for name, value in kept.items() if value}

    def link(**more: Any) -> str:
        """The address of this table with other parameters; None takes one away."""
        given = {name: value for name, value in {**kept, **more}.items() if value}
        return at("/") + (f"?{urlencode(given)}" if given else "")

    return render(
        "pages/runs.html",
        runs=runs,
        project=project,
        cursor=cursor,
        place=place,
        asked=asked or {},
        searched=bool((asked or {}).get("q") or (asked or {}).get("status")),
        link=link,
        statuses=STATUSES,
        database=database,
        needs_token=needs_token,
    )


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
    samples: Records = (),
    cursor: int | str = 0,
    database: str = "",
) -> str:
    """The page of one run; live updates go on from `cursor` of the database of this id."""
    data = {
        "verdicts": verdicts,
        "checkpoints": checkpoints,
        "evaluations": evaluations,
        "comparison": comparison,
        "audit": audit,
        "jobs": jobs,
        "samples": samples,
    }
    marked = figures.marks(run, checkpoints, evaluations, verdicts)
    fetched = {
        name: section(name, run, **data) for name in SECTIONS if name not in ("row", "marks")
    }
    return render(
        "pages/run.html",
        run=run,
        cursor=cursor,
        database=database,
        charts_words=descriptions.charts(series, run, verdicts),
        figure=figures.run_figures(series, verdicts, marked),
        others=figures.other_figures(series),
        blank=figures.blank_figure(),
        config_text=json.dumps(dict(run.get("config") or {}), indent=2, default=str),
        sections={**fetched, "marks": render("sections/marks.html", marks=marked)},
    )


def section(name: str, run: Record, **data: Any) -> str:
    """One section as an HTML fragment whose root element replaces the one with the same id.

    `data` are run_page's keyword arguments; SECTIONS says which of them a section reads, the
    others may be left out. Raises UnknownSection.
    """
    if name not in SECTIONS:
        raise UnknownSection(f"there is no section {name!r}; known are {', '.join(SECTIONS)}")
    given = {key: data.get(key) for key in SECTIONS[name]}
    given = {
        k: v if v is not None or k in ("verdicts", "comparison") else () for k, v in given.items()
    }
    return render(f"sections/{name}.html", run=run, **given, **_derived(name, run, given))


def _derived(name: str, run: Record, given: Mapping[str, Any]) -> dict[str, Any]:
    """What a section shows beyond its data."""
    match name:
        case "transition":
            verdicts = given["verdicts"]
            said = descriptions.transition(run, verdicts)
            return {"words": said, "evidence": descriptions.evidence_at(run, verdicts)}
        case "checkpoints":
            return {"production": (run.get("checkpoints") or {}).get("production")}
        case "evaluations":
            return {
                "words": descriptions.choice(given["comparison"], given["checkpoints"]),
                "reach": _reach(given["comparison"]),
                "reports": _by_split(given["evaluations"]),
            }
        case "samples":
            return {"groups": _sample_groups(run, given["samples"])}
        case "marks":
            return {"marks": figures.marks(run, **given)}
        case _:
            return {}


def _reach(comparison: Record | None) -> float:
    ends = [abs(row[end]) for row in (comparison or {}).get("rows", ()) for end in ("low", "high")]
    return max([v for v in ends if v is not None], default=0.0) or 1.0


def _by_split(evaluations: Records) -> list[tuple[tuple[str, str], list[Record]]]:
    """Evaluations grouped by (task, split), the report set first, by step inside."""
    keys = sorted({(e["task"], e["split"]) for e in evaluations})
    ordered = sorted(evaluations, key=lambda e: e["step"])
    return [(key, [e for e in ordered if (e["task"], e["split"]) == key]) for key in keys]


def _sample_groups(run: Record, samples: Records) -> list[tuple[str, list[Record]]]:
    """Samples before and after the transition; one group where there is none."""
    found = run.get("transition")
    ordered = sorted(samples, key=lambda s: s["step"])
    if not found:
        return [("", ordered)] if ordered else []
    before = [s for s in ordered if s["step"] < found["step"]]
    after = [s for s in ordered if s["step"] >= found["step"]]
    named = [(BEFORE_TRANSITION, before[::-1]), (AFTER_TRANSITION, after)]
    return [(name, group) for name, group in named if group]


def login_page(error: str | None = None, *, wanted: str = "/") -> str:
    """Asks for the monitor's token; the form posts `token`, and `next`: the page to show then."""
    return render("pages/login.html", wanted=wanted, error=error)


def error_page(status: int, title: str, detail: str) -> str:
    """A page for a problem: what happened and the way out."""
    return render("pages/error.html", status=status, title=title, detail=detail)
