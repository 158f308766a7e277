"""The page of the runs table: read in one transaction, handed to webui, returned as HTML."""

from dataclasses import replace
from typing import Any, Literal

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from monitor.api.dependencies import ServiceDep
from monitor.api.permissions import needs
from monitor.api.queries import BeforeDep, Limit, Status, WantedDep
from monitor.api.table_query import ConfigDep, View, ViewDep
from monitor.database import installation
from monitor.database.engine import Transaction
from monitor.services import Service
from monitor.store import run_list
from monitor.store.run_list import Page, Wanted
from monitor.store.table import grouping, sorting
from webui import table

router = APIRouter(include_in_schema=False)
SHOWN = 100  # runs on a page unless `limit` says otherwise


@router.get("/", response_class=HTMLResponse, dependencies=[needs("read", filters=True)])
def runs_page(
    service: ServiceDep,
    wanted: WantedDep,
    before: BeforeDep,
    view: ViewDep,
    config: ConfigDep,
    status: Status | Literal[""] | None = None,
    limit: Limit = SHOWN,
) -> str:
    """A page of the runs table, or of its groups."""
    asked = replace(wanted, status=status or None, config=config)
    with service.database.read() as tx:
        database = installation.database_id(tx)
        groups = _groups(tx, service, asked, view)
        page = service.table_page(tx, asked, view.order, limit, before, view.skip, view.columns)
        pinned = _pinned(tx, service, asked, view)
        rows = [*pinned, *(page.runs if groups is None else ())]
        shown = service.summaries(tx, rows)
    for row, run in zip(rows, shown, strict=True):
        run["columns"] = sorting.values_of(row, view.columns)
    return table.runs_page(
        shown[len(pinned) :],
        pinned=shown[: len(pinned)],
        groups=groups,
        project=wanted.project,
        place=_place(page, view, limit),
        asked=_asked(asked, view, limit),
        database=database,
        needs_token=not service.tokens.is_open,
        tag=run_list.page_tag(page, service.clock() - service.config.lost_after_s),
        now=service.clock(),
    )


def _asked(wanted: Wanted, view: View, limit: int) -> dict[str, Any]:
    """Return the query parameters of the table, the place apart."""
    return {
        "project": wanted.project,
        "q": wanted.text,
        "status": wanted.status,
        "limit": limit if limit != SHOWN else None,
        "config": [f"{key}={value}" for key, value in wanted.config],
        "sort": str(view.order) if view.order else None,
        "column": [str(one) for one in view.columns],
        "pin": list(view.pinned),
        "group": view.group,
    }


def _groups(
    tx: Transaction, service: Service, wanted: Wanted, view: View
) -> list[dict[str, Any]] | None:
    if view.group is None:
        return None
    silent = service.clock() - service.config.lost_after_s
    found = grouping.groups(tx, wanted, view.group, view.columns, silent_since=silent)
    return [one._asdict() for one in found]


def _pinned(tx: Transaction, service: Service, wanted: Wanted, view: View) -> list[Any]:
    """Return the pinned runs that the asker may see, in the order in which they were pinned."""
    if not view.pinned:
        return []
    reach = Wanted(within=wanted.within, only=wanted.only)
    found = run_list.some(tx, view.pinned, sorting.selected(view.columns))
    rows = {
        row.id: row
        for row in found
        if row.deleted_at is None
        and reach.within in (None, row.project)
        and reach.only in (None, row.id)
    }
    return [rows[run_id] for run_id in view.pinned if run_id in rows]


def _place(page: Page, view: View, limit: int) -> table.Place:
    if view.order is None:
        older, newer = (one and str(one) for one in (page.older, page.newer))
        return table.Place(page.total, page.first, older, newer)
    end = view.skip + len(page.runs)
    after = str(end) if end < page.total else None
    return table.Place(page.total, page.first, after, str(max(0, view.skip - limit)), "skip")
