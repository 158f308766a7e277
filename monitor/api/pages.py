"""The pages: read what a page shows in one transaction, hand it to webui, return HTML."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from cusp.protocol.fields import Id
from monitor.actions.require import run_or_404
from monitor.api.dependencies import ServiceDep
from monitor.api.permissions import needs
from monitor.api.queries import BeforeDep, Limit, Status, WantedDep
from monitor.api.routes.evaluations import read_evaluations
from monitor.api.routes.history import read_series
from monitor.database import installation
from monitor.database.engine import Transaction
from monitor.errors import NotFound
from monitor.schemas import access, checkpoint, evaluation
from monitor.schemas import series as series_schema
from monitor.store import evaluations, jobs, points, verdicts
from monitor.store.access import audit
from webui import assets, pages

router = APIRouter(include_in_schema=False)


@router.get("/", response_class=HTMLResponse, dependencies=[needs("read", filters=True)])
def runs_page(
    service: ServiceDep,
    wanted: WantedDep,
    before: BeforeDep,
    status: Status | Literal[""] | None = None,
    limit: Limit = 100,
) -> str:
    """A page of the runs table."""
    asked = replace(wanted, status=status or None)
    with service.database.read() as tx:
        page = service.listed(tx, asked, limit, before)
        found = service.summaries(tx, page.runs)
        database = installation.database_id(tx)
    place = pages.Place(
        page.total, page.first, page.older and str(page.older), page.newer and str(page.newer)
    )
    given = {"q": wanted.text, "status": status, "limit": limit if limit != 100 else None}
    return pages.runs_page(
        found,
        project=wanted.project,
        place=place,
        asked=given,
        database=database,
        needs_token=not service.tokens.is_open,
    )


@router.get("/runs/{run_id}", response_class=HTMLResponse, dependencies=[needs("read")])
def run_page(run_id: Id, service: ServiceDep) -> str:
    """One run."""
    with service.database.read() as tx:
        run = run_or_404(tx, run_id)
        data = _data(tx, run, {name for names in pages.SECTIONS.values() for name in names})
        shown = service.detailed(tx, run)
        series = read_series(tx, run)
        database = installation.database_id(tx)
    return pages.run_page(shown, series=series, cursor=run.cursor, database=database, **data)


@router.get(
    "/runs/{run_id}/sections/{name}", response_class=HTMLResponse, dependencies=[needs("read")]
)
def run_section(run_id: Id, name: str, service: ServiceDep) -> str:
    """One section of a run's page, fetched when it changed."""
    with service.database.read() as tx:
        run = run_or_404(tx, run_id)
        try:
            data = _data(tx, run, pages.SECTIONS.get(name, ()))
            return pages.section(name, service.detailed(tx, run), **data)
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


def _data(tx: Transaction, run: Any, needed: Collection[str]) -> dict[str, Any]:
    """Return what of a run's data is needed, by the names of `pages.SECTIONS`, each read once."""
    data: dict[str, Any] = {}
    evaluated = None
    if not {"evaluations", "comparison", "checkpoints"}.isdisjoint(needed):
        evaluated = evaluations.of_run(tx, run.id)
        data |= read_evaluations(tx, run.id, evaluated)
    if "checkpoints" in needed:
        data["checkpoints"] = checkpoint.checkpoint_list(tx, run.id, evaluated)
    if "verdicts" in needed:
        data["verdicts"] = series_schema.verdicts(verdicts.verdicts_of(tx, run.id), run.verdict)
    if "audit" in needed:
        data["audit"] = [access.audit_entry(row) for row in audit.of_run(tx, run.id)]
    if "jobs" in needed:
        data["jobs"] = [evaluation.job(row) for row in jobs.of_run(tx, run.id)]
    if "samples" in needed:
        data["samples"] = [series_schema.sample(row) for row in points.samples_of(tx, run.id)]
    return data
