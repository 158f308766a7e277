"""Checkpoints: listing, promoting, pinning."""

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import Field

from cusp.protocol.fields import Body, Id, PathText
from monitor.actions import export, promote
from monitor.actions.require import run_or_404
from monitor.api.dependencies import ServiceDep
from monitor.api.keys import IdempotencyKey
from monitor.api.openapi import answers
from monitor.api.permissions import GrantDep, needs
from monitor.database.engine import Transaction
from monitor.schemas import checkpoint, evaluation
from monitor.schemas import run as run_schema
from monitor.schemas.base import Json
from monitor.schemas.run_data import RunData
from monitor.store import checkpoints

router = APIRouter(tags=["checkpoints"])


class PromoteRequest(Body):
    """Which alias to move, and where the caller believes it points (absent: does not matter)."""

    alias: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")] = "production"
    expected_current: Id | None = None


class CheckReport(Body):
    """What the box that holds a checkpoint found there."""

    state: Literal["present", "pinned", "missing", "corrupt"]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    path: PathText | None = None


@router.get(
    "/runs/{run_id}/checkpoints",
    dependencies=[needs("read")],
    responses=answers(checkpoint.Checkpoints),
)
def get_checkpoints(run_id: Id, service: ServiceDep) -> Json:
    """Return the run's checkpoints with aliases and scores, by step."""
    with service.database.read() as tx:
        data = RunData(tx, run_or_404(tx, run_id))
        return {"checkpoints": checkpoint.checkpoint_list(data)}


@router.post(
    "/checkpoints/{checkpoint_id}/promote",
    dependencies=[needs("control")],
    responses=answers(checkpoint.Promoted, 409),
)
def promote_checkpoint(
    checkpoint_id: Id,
    service: ServiceDep,
    grant: GrantDep,
    request: PromoteRequest | None = None,
    key: IdempotencyKey = None,
) -> Json:
    """Point an alias of the run at the checkpoint, with an audit row in the same transaction.

    `verified`: whether the box that holds it has hashed its files within the last minute. If not, the
    trainer or a worker there is asked to, and `verified` of the checkpoint says when it has.
    """
    asked = request or PromoteRequest()
    cares = "expected_current" in asked.model_fields_set

    def act(tx: Transaction) -> Json:
        return promote.promote(
            tx,
            checkpoint_id,
            service.clock(),
            grant.name,
            alias=asked.alias,
            expected=asked.expected_current if cares else True,
        )

    return service.idempotent(key, ["promote", checkpoint_id, asked.model_dump()], act)


@router.post(
    "/checkpoints/{checkpoint_id}/pin",
    status_code=202,
    dependencies=[needs("control")],
    responses=answers(run_schema.RunCommand, 409, status=202),
)
def pin_checkpoint(
    checkpoint_id: Id, service: ServiceDep, grant: GrantDep, key: IdempotencyKey = None
) -> Json:
    """Ask the trainer to pin the checkpoint."""

    def act(tx: Transaction) -> Json:
        return run_schema.command(promote.pin(tx, checkpoint_id, service.clock(), grant.name))

    return service.idempotent(key, ["pin", checkpoint_id], act)


class ExportRequest(Body):
    """How to export: the adapter as it is, or `merged` into its base."""

    merged: bool = False


@router.post(
    "/checkpoints/{checkpoint_id}/export",
    status_code=202,
    dependencies=[needs("control")],
    responses=answers(evaluation.Job, 409, status=202),
)
def export_checkpoint(
    checkpoint_id: Id,
    service: ServiceDep,
    grant: GrantDep,
    request: ExportRequest | None = None,
    key: IdempotencyKey = None,
) -> Json:
    """Have a worker on the box that trained it write the checkpoint into a folder to serve."""
    asked = request or ExportRequest()

    def act(tx: Transaction) -> Json:
        now = service.clock()
        row = export.asked_for(tx, checkpoint_id, now, grant.name, merged=asked.merged)
        return evaluation.job(row)

    return service.idempotent(key, ["export", checkpoint_id, asked.model_dump()], act)


@router.get(
    "/checkpoints/unverified",
    dependencies=[needs("read", filters=True)],
    responses=answers(checkpoint.AllUnverified),
)
def list_unverified(service: ServiceDep, grant: GrantDep) -> Json:
    """Return the checkpoints that an alias points at and that no box has hashed since or kept, at most 1,000.

    A worker looks at those whose run is on its box, and says what it found.
    """
    names = ("id", "run_id", "step", "path", "sha256", "bytes")
    with service.database.read() as tx:
        found = [r for r in checkpoints.unverified(tx) if grant.reaches(r.run_id, r.project)]
    return {"checkpoints": [{name: getattr(row, name) for name in names} for row in found]}


@router.post(
    "/checkpoints/{checkpoint_id}/check",
    dependencies=[needs("control")],
    responses=answers(checkpoint.Checked, 409),
)
def check_checkpoint(
    checkpoint_id: Id,
    report: CheckReport,
    service: ServiceDep,
    grant: GrantDep,
    key: IdempotencyKey = None,
) -> Json:
    """Take what the box that holds the checkpoint has found after hashing its files.

    The sha256 must be the registered one for a checkpoint that is there; only a kept one may have moved.
    """

    def act(tx: Transaction) -> Json:
        return promote.check(tx, checkpoint_id, service.clock(), grant.name, **report.model_dump())

    return service.idempotent(key, ["check", checkpoint_id, report.model_dump()], act)
