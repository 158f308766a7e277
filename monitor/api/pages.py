"""The pages: read what a page shows in one transaction, hand it to webui, return HTML."""

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from cusp.protocol.fields import Id
from monitor.actions.require import run_or_404
from monitor.api.dependencies import ServiceDep
from monitor.api.html.early_page import begun_early
from monitor.api.permissions import needs
from monitor.errors import NotFound
from monitor.runs import x_axes
from monitor.schemas import access, checkpoint, cost, evaluation, verification
from monitor.schemas import series as series_schema
from monitor.schemas.downsample import length
from monitor.schemas.run_data import RunData
from monitor.services import Service
from monitor.verdicts.second_opinion import segments
from webui import assets, pages, report

router = APIRouter(include_in_schema=False)

# The row of the runs table is no part of the page: what is drawn in it is not read for that.
_PARTS_SHOWN = {part for name, parts in pages.RUN_PARTS.items() if name != "row" for part in parts}

_DATA: Mapping[str, Callable[[RunData, float], Any]] = {
    "audit": lambda data, _: [access.audit_entry(row) for row in data.audit],
    "checkpoints": lambda data, _: checkpoint.checkpoint_list(data),
    "cost": cost.cost,
    "comparison": lambda data, _: evaluation.comparison(data),
    "evaluations": lambda data, _: evaluation.scores(data),
    "jobs": lambda data, _: [evaluation.job(row) for row in data.jobs],
    "samples": lambda data, _: series_schema.samples(data),
    "verdicts": lambda data, _: series_schema.verdicts(data.drawn_verdicts, data.run.verdict),
    "verifications": verification.verifications,
}
"""What a page shows beside the run itself at a time, by the names of `pages.SECTIONS`."""

_TOLD: Mapping[str, Callable[[RunData, float], Any]] = {
    "verdicts": lambda data, _: series_schema.verdicts(data.told_verdicts, data.run.verdict),
}
"""What a section that is fetched again gets instead: it speaks of verdicts, but draws none."""

_VIEW = frozenset({"x", "smooth", "raw", "log", "zoom"})  # of a link, as view.js writes it


@router.get("/runs/{run_id}", response_class=HTMLResponse, dependencies=[needs("read")])
async def run_page(run_id: Id, service: ServiceDep, request: Request) -> Response:
    """One run."""
    is_whole = _VIEW.isdisjoint(request.query_params)

    def made(sure: Callable[[], object]) -> str:
        shown, given = _read(run_id, service, sure)
        return pages.run_page(shown, is_whole=is_whole, **given)

    return await begun_early(made)


@router.get("/runs/{run_id}/report.html", response_class=HTMLResponse, dependencies=[needs("read")])
def run_report(run_id: Id, service: ServiceDep) -> HTMLResponse:
    """One run as a file to keep: it is downloaded, as its scripts stand in it, which no page of ours may run."""
    shown, given = _read(run_id, service)
    kept = {k: v for k, v in given.items() if k not in ("cursor", "database", "x_axes")}
    headers = {"Content-Disposition": f'attachment; filename="{run_id}-report.html"'}
    return HTMLResponse(report.report_page(shown, **kept), headers=headers)


def _read(
    run_id: str, service: Service, sure: Callable[[], object] = lambda: None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the run as its page shows it, and the keyword arguments of `pages.run_page`.

    `sure` is called once the run is found, before all else is read.
    """
    with service.database.read() as tx:
        data = RunData(tx, run_or_404(tx, run_id))
        sure()
        data.read_told()
        counts = {one.name: length(one) for one in data.series}
        series = series_schema.drawn(data.drawn, data.numbers, counts)
        shown = service.detailed_of(data, _PARTS_SHOWN)
        rest = {name: made(data, service.clock()) for name, made in _DATA.items()}
        rest["segments"] = segments(data.run, data.series, data.names)
        rest["x_axes"] = x_axes.x_axes(data.some(*x_axes.NAMES))
    rest |= {"series": series, "cursor": data.run.cursor, "database": data.run.database_id}
    return shown, rest


@router.get(
    "/runs/{run_id}/sections/{name}", response_class=HTMLResponse, dependencies=[needs("read")]
)
def run_section(run_id: Id, name: str, service: ServiceDep) -> str:
    """One section of a run's page, fetched when it changed."""
    with service.database.read() as tx:
        data = RunData(tx, run_or_404(tx, run_id))
        try:
            shown = service.detailed_of(data, pages.RUN_PARTS.get(name, ()))
            now, given = service.clock(), pages.SECTIONS.get(name, ())
            rest = {needed: (_TOLD.get(needed) or _DATA[needed])(data, now) for needed in given}
            return pages.section(name, shown, **rest)
        except pages.UnknownSection as error:
            raise NotFound(str(error.args[0])) from None


@router.get("/static/{name:path}")
def static_file(name: str, request: Request, v: str | None = None) -> Response:
    """One of the files the pages use; `v` only makes a new version another address."""
    try:
        found, headers = assets.asset(name), assets.headers(name)
    except assets.UnknownAsset as error:
        raise NotFound(str(error.args[0])) from None
    known = request.headers.get("if-none-match", "").split(",")
    if headers["ETag"] in (
        tag.strip().removeprefix("W/") for tag in known
    ):  # W/: packed on the way
        return Response(status_code=304, headers=headers)
    return Response(found.body, headers=headers)
