"""Checkpoints: listing, promoting, pinning."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import AfterValidator, Field

from cusp.protocol.fields import Body, Id, storable
from cusp.protocol.messages import CheckpointMessage
from monitor.actions import quotas
from monitor.actions.require import run_or_404
from monitor.api.dependencies import ServiceDep
from monitor.api.keys import IdempotencyKey
from monitor.api.openapi import answers
from monitor.api.permissions import GrantDep, needs
from monitor.database.engine import Transaction
from monitor.errors import Conflict, NotFound
from monitor.schemas import checkpoint
from monitor.schemas import run as run_schema
from monitor.schemas.base import Json
from monitor.store import changes, checkpoints, commands
from monitor.store.access import audit
from monitor.webhooks.outbox import emit

router = APIRouter(tags=["checkpoints"])


class PromoteRequest(Body):
    """Which alias to move, and where the caller believes it points (absent: does not matter)."""

    alias: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")] = "production"
    expected_current: Id | None = None


class CheckReport(Body):
    """What the box that holds a checkpoint found there."""

    state: Literal["present", "pinned", "missing", "corrupt"]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    path: Annotated[str, Field(min_length=1, max_length=1_000), AfterValidator(storable)] | None = (
        None
    )


@router.get(
    "/runs/{run_id}/checkpoints",
    dependencies=[needs("read")],
    responses=answers(checkpoint.Checkpoints),
)
def get_checkpoints(run_id: Id, service: ServiceDep) -> Json:
    """Return the run's checkpoints with aliases and scores, by step."""
    with service.database.read() as tx:
        run_or_404(tx, run_id)
        return {"checkpoints": checkpoint.checkpoint_list(tx, run_id)}


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
        row = _usable(tx, checkpoint_id)
        now = service.clock()
        previous = checkpoints.move_alias(
            tx,
            row.run_id,
            asked.alias,
            row.id,
            now,
            author=grant.name,
            expected=asked.expected_current if cares else True,
        )
        detail = {"alias": asked.alias, "step": row.step, "previous": previous}
        audit.add(
            tx, row.run_id, now, actor=grant.name, action="promote", target=row.id, detail=detail
        )
        verified = checkpoints.verified(row, now)
        told = {"checkpoint_id": row.id, "author": grant.name, **detail}
        emit(tx, "checkpoint.promoted", row.run_id, now, **told)
        kept = row.pinned and verified
        if not kept and run_or_404(tx, row.run_id).status == "running":
            quotas.check_commands(tx, row.run_id)
            # What an alias points at must outlive rotation and a resume that saves over it. Of a run
            # that is over, a worker on its box asks for what was not verified.
            reason = f"promoted to {asked.alias}"
            commands.add(
                tx, row.run_id, now, kind="keep", reason=reason, author=grant.name, steps=[row.step]
            )
            changes.section_changed(tx, row.run_id, "commands")
        changes.section_changed(tx, row.run_id, "checkpoints")
        changes.add(tx, row.run_id, "run", {})
        return {"checkpoint_id": row.id, "run_id": row.run_id, "verified": verified, **detail}

    answer = service.idempotent(key, ["promote", checkpoint_id, asked.model_dump()], act)
    service.changed(answer["run_id"])
    return answer


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
        row = _usable(tx, checkpoint_id)
        run = run_or_404(tx, row.run_id)
        if run.status != "running":
            raise Conflict(
                f"the run is {run.status}, so no trainer is there to pin it; `cusp pin {run.id} {row.step}`"
                " on the box that trained it does"
            )
        quotas.check_commands(tx, row.run_id)
        now = service.clock()
        reason = "pinned by a person"
        command = commands.add(
            tx, row.run_id, now, kind="keep", reason=reason, author=grant.name, steps=[row.step]
        )
        audit.add(tx, row.run_id, now, actor=grant.name, action="pin", target=row.id)
        changes.section_changed(tx, row.run_id, "commands")
        return run_schema.command(command)

    answer = service.idempotent(key, ["pin", checkpoint_id], act)
    service.changed(answer["run_id"])
    return answer


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
        row = _known(tx, checkpoint_id)
        there = report.state in ("present", "pinned")
        if there and report.sha256 != row.sha256:
            raise Conflict(
                f"the checkpoint of step {row.step} is registered with sha256 {row.sha256}, not"
                f" {report.sha256}; what was found is another one"
            )
        now, told = service.clock(), {"state": report.state, "path": row.path}
        if report.state == "pinned" and report.path is not None:
            told["path"] = report.path
        fields = {"step": row.step, "sha256": row.sha256, "bytes": row.bytes, **told}
        message = CheckpointMessage(checkpoint_id=row.id, **fields)
        checkpoints.add(tx, row.run_id, row.attempt_key, message, now)
        after = _known(tx, row.id)
        if (after.state, after.path) != (row.state, row.path):
            detail = {"step": row.step, "was": row.state, "state": after.state}
            audit.add(
                tx, row.run_id, now, actor=grant.name, action="check", target=row.id, detail=detail
            )
        moved = checkpoints.moves(tx, row.run_id).get(row.id)
        changes.section_changed(tx, row.run_id, "checkpoints")
        return {
            "checkpoint_id": row.id,
            "run_id": row.run_id,
            "state": after.state,
            "verified": checkpoints.verified(after, moved),
        }

    answer = service.idempotent(key, ["check", checkpoint_id, report.model_dump()], act)
    service.changed(answer["run_id"])
    return answer


def _known(tx: Transaction, checkpoint_id: str) -> Any:
    row = checkpoints.get(tx, checkpoint_id)
    if row is None:
        raise NotFound(f"there is no checkpoint {checkpoint_id!r} here")
    run_or_404(tx, row.run_id, locked=True)
    return row


def _usable(tx: Transaction, checkpoint_id: str) -> Any:
    row = _known(tx, checkpoint_id)
    if row.state in ("missing", "corrupt"):
        raise Conflict(f"the checkpoint of step {row.step} is {row.state}; choose another")
    return row
