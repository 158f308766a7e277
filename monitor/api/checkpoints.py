"""Checkpoints: listing, promoting, pinning."""

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field

from cusp.wire import Body, Id
from monitor import room, shapes, views
from monitor.access import GrantDep, needs
from monitor.api.keys import IdempotencyKey
from monitor.openapi import answers
from monitor.problems import Conflict, NotFound
from monitor.service import ServiceDep, run_or_404
from monitor.store import audit, checkpoints, commands, feed
from monitor.store.database import Transaction
from monitor.webhooks import tell

router = APIRouter(tags=["checkpoints"])
Json = dict[str, Any]


class PromoteRequest(Body):
    """Which alias to move, and where the caller believes it points (absent: does not matter)."""

    alias: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")] = "production"
    expected_current: Id | None = None


@router.get(
    "/runs/{run_id}/checkpoints",
    dependencies=[needs("read")],
    responses=answers(shapes.Checkpoints),
)
def get_checkpoints(run_id: Id, service: ServiceDep) -> Json:
    """Return the run's checkpoints with aliases and scores, by step."""
    with service.database.read() as tx:
        run_or_404(tx, run_id)
        return {"checkpoints": views.checkpoint_list(tx, run_id)}


@router.post(
    "/checkpoints/{checkpoint_id}/promote",
    dependencies=[needs("control")],
    responses=answers(shapes.Promoted, 409),
)
def promote_checkpoint(
    checkpoint_id: Id,
    service: ServiceDep,
    grant: GrantDep,
    request: PromoteRequest | None = None,
    key: IdempotencyKey = None,
) -> Json:
    """Point an alias of the run at the checkpoint, with an audit row in the same transaction."""
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
        told = {"checkpoint_id": row.id, "author": grant.name, **detail}
        tell(tx, "checkpoint.promoted", row.run_id, now, **told)
        if not row.pinned and run_or_404(tx, row.run_id).status == "running":
            room.check_commands(tx, row.run_id)
            # What an alias points at must outlive rotation and a resume that saves over it.
            reason = f"promoted to {asked.alias}"
            commands.add(
                tx, row.run_id, now, kind="keep", reason=reason, author=grant.name, steps=[row.step]
            )
            feed.section_changed(tx, row.run_id, "commands")
        feed.section_changed(tx, row.run_id, "checkpoints")
        feed.add(tx, row.run_id, "run", {})
        return {"checkpoint_id": row.id, "run_id": row.run_id, **detail}

    answer = service.once(key, ["promote", checkpoint_id, asked.model_dump()], act)
    service.changed(answer["run_id"])
    return answer


@router.post(
    "/checkpoints/{checkpoint_id}/pin",
    status_code=202,
    dependencies=[needs("control")],
    responses=answers(shapes.RunCommand, 409, status=202),
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
                f"the run is {run.status}, so no trainer is there to pin it; it can be pinned once resumed"
            )
        room.check_commands(tx, row.run_id)
        now = service.clock()
        reason = "pinned by a person"
        command = commands.add(
            tx, row.run_id, now, kind="keep", reason=reason, author=grant.name, steps=[row.step]
        )
        audit.add(tx, row.run_id, now, actor=grant.name, action="pin", target=row.id)
        feed.section_changed(tx, row.run_id, "commands")
        return views.command(command)

    answer = service.once(key, ["pin", checkpoint_id], act)
    service.changed(answer["run_id"])
    return answer


def _usable(tx: Transaction, checkpoint_id: str) -> Any:
    row = checkpoints.get(tx, checkpoint_id)
    if row is None:
        raise NotFound(f"there is no checkpoint {checkpoint_id!r} here")
    run_or_404(tx, row.run_id, locked=True)
    if row.state in ("missing", "corrupt"):
        raise Conflict(f"the checkpoint of step {row.step} is {row.state}; choose another")
    return row
