"""What the policy and people do with checkpoints: move an alias, ask for a pin, take what a box found."""

from typing import Any, Literal

from cusp.protocol.messages import CheckpointMessage
from monitor.actions import quotas
from monitor.actions.record import record
from monitor.actions.require import run_or_404
from monitor.database.engine import Transaction
from monitor.errors import Conflict, NotFound
from monitor.policy.decide import Saved
from monitor.store import checkpoints, commands, runs

POLICY = "policy"


def usable_checkpoints(tx: Transaction, run_id: str) -> list[Saved]:
    """Return the run's checkpoints that are there and whole; of a superseded branch none."""
    cuts = runs.cuts(runs.attempts_of(tx, run_id))
    return [
        Saved(row.id, row.step, row.path, row.sha256)
        for row in checkpoints.of_run(tx, run_id)
        if row.state in ("present", "pinned") and row.step < cuts.get(row.attempt_key, 0)
    ]


def move_alias(
    tx: Transaction, run_id: str, now: float, alias: str, checkpoint: Saved, reason: str
) -> None:
    """Point an alias at the checkpoint, as the policy; nothing happens if it is there already."""
    previous = checkpoints.move_alias(
        tx, run_id, alias, checkpoint.id, now, author=POLICY, expected=True
    )
    if previous == checkpoint.id:
        return
    detail = {"alias": alias, "step": checkpoint.step, "previous": previous, "reason": reason}
    _record_move(tx, run_id, now, POLICY, checkpoint.id, detail)


def promote(
    tx: Transaction,
    checkpoint_id: str,
    now: float,
    author: str,
    *,
    alias: str,
    expected: str | Literal[True] | None,
) -> dict[str, Any]:
    """Point an alias at the checkpoint, as a person; return where it points and pointed.

    AliasMoved is raised when it does not point at the `expected` checkpoint (True: any will do). What an
    alias points at must outlive rotation and a resume that saves over it, so the trainer is asked to
    pin it. Of a run that is over, a worker on its box asks for what was not verified.
    """
    row = usable(tx, checkpoint_id)
    previous = checkpoints.move_alias(
        tx, row.run_id, alias, row.id, now, author=author, expected=expected
    )
    detail = {"alias": alias, "step": row.step, "previous": previous}
    verified = checkpoints.verified(row, now)
    kept = row.pinned and verified
    if not kept and run_or_404(tx, row.run_id).status == "running":
        _ask_to_keep(tx, row, now, author, f"promoted to {alias}")
        record(tx, "keep.asked", row.run_id, now)
    _record_move(tx, row.run_id, now, author, row.id, detail)
    record(tx, "run.changed", row.run_id, now)
    return {"checkpoint_id": row.id, "run_id": row.run_id, "verified": verified, **detail}


def pin(tx: Transaction, checkpoint_id: str, now: float, author: str) -> Any:
    """Ask the trainer to pin the checkpoint; return the command's row. Conflict if none trains."""
    row = usable(tx, checkpoint_id)
    run = run_or_404(tx, row.run_id)
    if run.status != "running":
        raise Conflict(
            f"the run is {run.status}, so no trainer is there to pin it; `cusp pin {run.id} {row.step}`"
            " on the box that trained it does"
        )
    command = _ask_to_keep(tx, row, now, author, "pinned by a person")
    record(tx, "checkpoint.pin_asked", row.run_id, now, by=author, target=row.id)
    return command


def check(
    tx: Transaction,
    checkpoint_id: str,
    now: float,
    author: str,
    *,
    state: Literal["present", "pinned", "missing", "corrupt"],
    sha256: str,
    path: str | None,
) -> dict[str, Any]:
    """Take what the box that holds the checkpoint found there; return its state and when it was verified.

    Conflict is raised for another hash than the registered one. Only a kept one may have moved to `path`.
    """
    row = _known(tx, checkpoint_id)
    if state in ("present", "pinned") and sha256 != row.sha256:
        raise Conflict(
            f"the checkpoint of step {row.step} is registered with sha256 {row.sha256}, not"
            f" {sha256}; what was found is another one"
        )
    message = CheckpointMessage(
        checkpoint_id=row.id,
        step=row.step,
        path=path if state == "pinned" and path is not None else row.path,
        sha256=row.sha256,
        bytes=row.bytes,
        state=state,
    )
    checkpoints.add(tx, row.run_id, row.attempt_key, message, now)
    after = _known(tx, row.id)
    changed = (after.state, after.path) != (row.state, row.path)
    name = "checkpoint.found_changed" if changed else "checkpoint.checked"
    detail = {"step": row.step, "was": row.state, "state": after.state}
    record(tx, name, row.run_id, now, by=author, target=row.id, detail=detail)
    return {
        "checkpoint_id": row.id,
        "run_id": row.run_id,
        "state": after.state,
        "verified": checkpoints.verified(after, checkpoints.moves(tx, row.run_id).get(row.id)),
    }


def _record_move(
    tx: Transaction, run_id: str, now: float, author: str, target: str, detail: dict[str, Any]
) -> None:
    told = {"checkpoint_id": target, "author": author, **detail}
    record(
        tx, "checkpoint.promoted", run_id, now, by=author, target=target, detail=detail, told=told
    )


def _ask_to_keep(tx: Transaction, row: Any, now: float, author: str, reason: str) -> Any:
    quotas.check_commands(tx, row.run_id)
    return commands.add(
        tx, row.run_id, now, kind="keep", reason=reason, author=author, steps=[row.step]
    )


def _known(tx: Transaction, checkpoint_id: str) -> Any:
    row = checkpoints.get(tx, checkpoint_id)
    if row is None:
        raise NotFound(f"there is no checkpoint {checkpoint_id!r} here")
    run_or_404(tx, row.run_id, locked=True)
    return row


def usable(tx: Transaction, checkpoint_id: str) -> Any:
    """Return the checkpoint's row, its run locked; NotFound, and Conflict for one that is missing or corrupt."""
    row = _known(tx, checkpoint_id)
    if row.state in ("missing", "corrupt"):
        raise Conflict(f"the checkpoint of step {row.step} is {row.state}; choose another")
    return row
