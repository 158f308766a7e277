"""Deleting runs: hidden and restorable, then purged."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from cusp.protocol.fields import Body, Id
from monitor import clock
from monitor.actions import delete
from monitor.api.dependencies import ServiceDep
from monitor.api.keys import IdempotencyKey
from monitor.api.openapi import answers
from monitor.api.permissions import GrantDep, needs
from monitor.api.queries import BeforeDep, Limit, WantedDep
from monitor.database.engine import Transaction
from monitor.schemas import deletion as deletion_schema
from monitor.schemas.base import Json
from monitor.schemas.deletion import DeletedRun, DeletedRuns, PurgedRun
from monitor.services import Service
from monitor.store import runs

router = APIRouter(tags=["runs"])

Confirm = Annotated[
    bool, Query(description="delete the run although an alias points at a checkpoint of it")
]


class PurgeRequest(Body):
    """Whether a run whose checkpoints somebody promoted may go, too."""

    confirm_promoted: bool = False


@router.delete(
    "/runs/{run_id}",
    dependencies=[needs("control")],
    responses=answers(DeletedRun, 409, 410),
)
def delete_run(
    run_id: Id,
    service: ServiceDep,
    grant: GrantDep,
    confirm_promoted: Confirm = False,
    key: IdempotencyKey = None,
) -> Json:
    """Hide a run that is over; it can be restored until its days are up. Files stay as they are."""

    def act(tx: Transaction) -> Json:
        delete.soft_delete(
            tx,
            delete.locked(tx, run_id),
            service.clock(),
            grant.name,
            lost_after_s=service.config.lost_after_s,
            promoted_too=confirm_promoted,
        )
        return _deleted(tx, service, run_id)

    return service.idempotent(key, ["delete", run_id, confirm_promoted], act)


@router.post(
    "/runs/{run_id}/restore",
    dependencies=[needs("control")],
    responses=answers(DeletedRun, 410),
)
def restore_run(
    run_id: Id, service: ServiceDep, grant: GrantDep, key: IdempotencyKey = None
) -> Json:
    """Bring a deleted run back with everything that was stored of it."""

    def act(tx: Transaction) -> Json:
        delete.restore(tx, delete.locked(tx, run_id), service.clock(), grant.name)
        return _deleted(tx, service, run_id)

    return service.idempotent(key, ["restore", run_id], act)


@router.post(
    "/runs/{run_id}/purge",
    status_code=202,
    dependencies=[needs("admin")],
    responses=answers(PurgedRun, 409, 410, status=202),
)
def purge_run(
    run_id: Id,
    service: ServiceDep,
    grant: GrantDep,
    request: PurgeRequest | None = None,
    key: IdempotencyKey = None,
) -> Json:
    """Remove a deleted run for good, without waiting for its days; its rows go within seconds."""
    promoted_too = request is not None and request.confirm_promoted

    def act(tx: Transaction) -> Json:
        run = delete.locked(tx, run_id)
        left = deletion_schema.remains(tx, run_id)
        delete.purge(
            tx,
            run,
            service.clock(),
            grant.name,
            lost_after_s=service.config.lost_after_s,
            promoted_too=promoted_too,
        )
        return {"run_id": run_id, "remains": left, "words": deletion_schema.remains_words(left)}

    return service.idempotent(key, ["purge", run_id, promoted_too], act)


@router.get(
    "/deleted-runs", dependencies=[needs("read", filters=True)], responses=answers(DeletedRuns)
)
def list_deleted_runs(
    service: ServiceDep, wanted: WantedDep, before: BeforeDep, limit: Limit = 100
) -> Json:
    """Return a page of the runs that can be restored, the last deleted first."""
    with service.database.read() as tx:
        page = service.listed(tx, wanted, limit, before, deleted=True)
        left = deletion_schema.remains_by_run(tx, [run.id for run in page.runs])
        return {
            "deleted_runs": [_listed(service, run, left[run.id]) for run in page.runs],
            "total": page.total,
            "first": page.first,
            "next": page.older and str(page.older),
        }


def _listed(service: Service, run: Any, left: Json) -> Json:
    named = {"project": run.project, "name": run.name, "step": run.last_step}
    return {**_shown(service, run, left), **named}


def _deleted(tx: Transaction, service: Service, run_id: str) -> Json:
    run = runs.get(tx, run_id)
    assert run is not None
    return _shown(service, run, deletion_schema.remains(tx, run_id))


def _shown(service: Service, run: Any, left: Json) -> Json:
    until = None
    if run.deleted_at is not None:
        last = max(run.deleted_at, run.last_contact_at)
        until = last + service.config.deleted_days * delete.DAY_S
    return {
        "run_id": run.id,
        "deleted_at": clock.when(run.deleted_at),
        "deleted_by": run.deleted_by,
        "restorable_until": clock.when(until),
        "remains": left,
        "words": deletion_schema.remains_words(left),
    }
