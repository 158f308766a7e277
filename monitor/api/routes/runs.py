"""Runs: announcing, batches, listing, reading one, telling its roles."""

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import Field

from cusp.protocol.fields import MAX_TAGS, NAMED, NUMBER, Body, Id, Name, Text
from cusp.protocol.messages import Batch, Reply
from cusp.run_config import leaves
from monitor.actions.require import run_or_404
from monitor.actions.told.describe_run import describe_run
from monitor.actions.told.set_price import set_price
from monitor.actions.told.set_roles import set_roles
from monitor.api.dependencies import ServiceDep
from monitor.api.lenient_announcement import Announcement
from monitor.api.openapi import answers
from monitor.api.permissions import GrantDep, check_run, needs
from monitor.api.queries import BeforeDep, Limit, Status, WantedDep
from monitor.api.table_query import ConfigDep, OrderDep, Skip
from monitor.schemas import cost as cost_schema
from monitor.schemas import run as run_schema
from monitor.schemas.base import Json
from monitor.schemas.run_data import RunData
from monitor.store.run_list import page_tag
from monitor.store.table import run_values
from webui.address import at

router = APIRouter(tags=["runs"])
CONFIGS_READ = 20  # newest runs whose configuration keys are offered as columns
MOST_KEYS = 1_000


@router.post(
    "/runs",
    dependencies=[needs("ingest", filters=True)],
    responses=answers(run_schema.Announced, 409),
)
def announce_run(start: Announcement, service: ServiceDep, grant: GrantDep) -> Json:
    """Announce an attempt of a run; repeating it changes nothing.

    What of the announcement cannot be taken is left out, and named in `refused` and `ignored`.
    """
    with service.database.read() as tx:
        check_run(tx, grant, start.run_id, start.project)
    service.ingest.announce(start, start.refused, start.ignored)
    reasons = [part.reason for part in start.refused]
    found = {"id": start.run_id, "url": at(f"/runs/{start.run_id}")}
    return {**found, "refused": reasons, "ignored": list(start.ignored)}


@router.post(
    "/runs/{run_id}/batches", dependencies=[needs("ingest")], response_model_exclude_none=True
)
def post_batch(run_id: Id, batch: Batch, service: ServiceDep) -> Reply:
    """Take messages and return what the trainer should know."""
    return service.ingest.batch(run_id, batch)


@router.get("/runs", dependencies=[needs("read", filters=True)], responses=answers(run_schema.Runs))
def list_runs(
    service: ServiceDep,
    wanted: WantedDep,
    before: BeforeDep,
    order: OrderDep,
    config: ConfigDep,
    request: Request,
    response: Response,
    status: Status | None = None,
    limit: Limit = 100,
    skip: Skip = 0,
) -> Any:
    """Return a page of the runs, newest first; `next` is `before` of the next one.

    With `sort` they are sorted, and `skip` leads to the next page. The ETag is that of the runs' states: a page
    that nothing happened to is answered with 304, before its details are read.
    """
    asked = replace(wanted, status=status, config=config)
    with service.database.read() as tx:
        page = service.table_page(tx, asked, order, limit, before, skip)
        silent = service.clock() - service.config.lost_after_s
        response.headers["ETag"] = tag = page_tag(page, silent)
        if request.headers.get("if-none-match", "").removeprefix("W/") == tag:
            return Response(status_code=304, headers={"ETag": tag})
        return {
            "runs": service.summaries(tx, page.runs),
            "total": page.total,
            "first": page.first,
            "next": page.older and str(page.older),
        }


@router.get(
    "/run-columns",
    dependencies=[needs("read", filters=True)],
    responses=answers(run_schema.RunColumns),
)
def list_columns(service: ServiceDep, grant: GrantDep) -> Json:
    """Return what columns the runs table can have: names of metrics, keys of the newest runs' configurations."""
    with service.database.read() as tx:
        names = run_values.names(tx, grant.project, grant.run_id)
        configs = run_values.newest_configs(tx, grant.project, grant.run_id, CONFIGS_READ)
    keys = {key for config in configs for key, _ in leaves(config)}
    return {"metrics": sorted(names), "config": sorted(keys)[:MOST_KEYS]}


@router.get(
    "/runs/{run_id}/cost", dependencies=[needs("read")], responses=answers(cost_schema.Cost)
)
def get_cost(run_id: Id, service: ServiceDep) -> Json:
    """Return what the run cost: GPU hours, dollars, tokens and operations, by part, at the transition, saved."""
    with service.database.read() as tx:
        return cost_schema.cost(RunData(tx, run_or_404(tx, run_id)), service.clock())


@router.get("/runs/{run_id}", dependencies=[needs("read")], responses=answers(run_schema.Run))
def get_run(run_id: Id, service: ServiceDep) -> Json:
    """Return one run with its details."""
    with service.database.read() as tx:
        return service.detailed(tx, run_or_404(tx, run_id))


class RunChange(Body):
    """What to change of a run. `roles` takes the place of all that was told before; `{}` means the rules.

    `gpu_hourly_usd`: the price of one GPU hour, for the run's whole cost. `tags` take the place of all
    before; empty `notes` delete them.
    """

    roles: (
        Annotated[
            dict[Name, Annotated[list[Name], Field(max_length=64)]],
            Field(max_length=16, json_schema_extra=NAMED),
        ]
        | None
    ) = None
    gpu_hourly_usd: Annotated[float, Field(ge=0, le=1_000_000), NUMBER] | None = None
    name: Name | None = None
    tags: Annotated[list[Name], Field(max_length=MAX_TAGS)] | None = None
    notes: Text | None = None


@router.patch(
    "/runs/{run_id}",
    dependencies=[needs("control")],
    responses=answers(run_schema.Run, 409, 410),
)
def change_run(
    run_id: Id, change: RunChange, service: ServiceDep, grant: GrantDep
) -> dict[str, Any]:
    """Change a run's name, tags, notes or GPU price, or its roles, which makes its verdicts anew from its points."""
    folds, now = service.ingest.folds, service.clock()
    state = None
    with service.database.write() as tx:
        run = run_or_404(tx, run_id, locked=True)
        if change.gpu_hourly_usd is not None:
            run = set_price(tx, run, change.gpu_hourly_usd, now, grant.name)
        told = change.model_dump(include={"name", "tags", "notes"}, exclude_none=True)
        if told:
            run = describe_run(tx, run, told, now, grant.name)
        if change.roles is not None:
            state = set_roles(tx, run, folds, change.roles, now, grant.name)
    if state is not None:
        folds.put(run_id, state)
    with service.database.read() as tx:
        return service.detailed(tx, run_or_404(tx, run_id))
