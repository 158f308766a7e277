"""Deleting runs: hidden and restorable, then purged. And the audit log of acts on no run."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query

from cusp.wire import Body, Id
from monitor import deletion, views
from monitor.access import GrantDep, needs
from monitor.api.keys import IdempotencyKey
from monitor.api.queries import BeforeDep, Limit, WantedDep
from monitor.openapi import answers
from monitor.problems import NotFound
from monitor.service import Service, ServiceDep
from monitor.shapes import Json, Shape
from monitor.store import audit, runs
from monitor.store import deletion as store
from monitor.store.database import Transaction

router = APIRouter(tags=["runs"])
Confirm = Annotated[
    bool, Query(description="delete the run although an alias points at a checkpoint of it")
]


class PurgeRequest(Body):
    """Whether a run whose checkpoints somebody promoted may go, too."""

    confirm_promoted: bool = False


class Remains(Shape):
    checkpoints: int
    pinned: int
    bytes: int


class DeletedRun(Shape):
    run_id: str
    deleted_at: str | None
    deleted_by: str | None
    restorable_until: str | None
    remains: Remains
    words: str


class ListedRun(DeletedRun):
    project: str
    name: str
    step: int | None


class DeletedRuns(Shape):
    deleted_runs: list[ListedRun]
    total: int
    first: int
    next: str | None


class PurgedRun(Shape):
    run_id: str
    remains: Remains
    words: str


class Act(Shape):
    id: str
    at: str
    run_id: str | None
    actor: str
    action: str
    target: str
    detail: Json


class Acts(Shape):
    audit: list[Act]


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
        run = _run(tx, run_id)
        deletion.hide(
            tx,
            run,
            service.clock(),
            grant.name,
            lost_after_s=service.config.lost_after_s,
            promoted_too=confirm_promoted,
        )
        return _deleted(tx, service, run_id)

    return _act(service, key, ["delete", run_id, confirm_promoted], run_id, act)


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
        deletion.restore(tx, _run(tx, run_id), service.clock(), grant.name)
        return _deleted(tx, service, run_id)

    return _act(service, key, ["restore", run_id], run_id, act)


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
        run = _run(tx, run_id)
        left = deletion.remains(tx, run_id)
        deletion.purge(
            tx,
            run,
            service.clock(),
            grant.name,
            lost_after_s=service.config.lost_after_s,
            promoted_too=promoted_too,
        )
        return {"run_id": run_id, "remains": left, "words": deletion.remains_words(left)}

    return _act(service, key, ["purge", run_id, promoted_too], run_id, act)


@router.get(
    "/deleted-runs", dependencies=[needs("read", filters=True)], responses=answers(DeletedRuns)
)
def list_deleted_runs(
    service: ServiceDep, wanted: WantedDep, before: BeforeDep, limit: Limit = 100
) -> Json:
    """Return a page of the runs that can be restored, the last deleted first."""
    with service.database.read() as tx:
        page = service.listed(tx, wanted, limit, before, deleted=True)
        left = deletion.remains_by_run(tx, [run.id for run in page.runs])
        return {
            "deleted_runs": [_listed(service, run, left[run.id]) for run in page.runs],
            "total": page.total,
            "first": page.first,
            "next": page.older and str(page.older),
        }


@router.get("/audit", dependencies=[needs("admin")], responses=answers(Acts))
def get_whole_audit(service: ServiceDep, before: Id | None = None, requests: bool = False) -> Json:
    """Return who did what, newest first: on every run, purged ones too, and on none.

    At most 500 rows; `before` is the last id of the answer before. With `requests` every acting
    request has a row, too, with its status, refused ones included; `detail.from` is the address.
    """
    with service.database.read() as tx:
        return {
            "audit": [_act_of(row) for row in audit.newest(tx, before=before, requests=requests)]
        }


def _act_of(row: Any) -> Json:
    return {"id": row.id, "run_id": row.run_id, **views.audit_entry(row)}


def _act(
    service: Service,
    key: str | None,
    question: object,
    run_id: str,
    act: Callable[[Transaction], Json],
) -> Json:
    answer = service.once(key, question, act)
    service.changed(run_id)
    return answer


def _run(tx: Transaction, run_id: str) -> Any:
    run = store.lock(tx, run_id)
    deletion.refuse_purged(tx, run_id)
    if run is None:
        raise NotFound(f"there is no run {run_id!r} here")
    return run


def _listed(service: Service, run: Any, left: Json) -> Json:
    named = {"project": run.project, "name": run.name, "step": run.last_step}
    return {**_shown(service, run, left), **named}


def _deleted(tx: Transaction, service: Service, run_id: str) -> Json:
    run = runs.get(tx, run_id)
    assert run is not None
    return _shown(service, run, deletion.remains(tx, run_id))


def _shown(service: Service, run: Any, left: Json) -> Json:
    until = None
    if run.deleted_at is not None:
        last = max(run.deleted_at, run.last_contact_at)
        until = last + service.config.deleted_days * deletion.DAY_S
    return {
        "run_id": run.id,
        "deleted_at": views.when(run.deleted_at),
        "deleted_by": run.deleted_by,
        "restorable_until": views.when(until),
        "remains": left,
        "words": deletion.remains_words(left),
    }
