"""Moving aliases by policy, with an audit row in the same transaction; and what they may point at."""

from typing import Any

from monitor.database.engine import Transaction
from monitor.policy.decide import Saved
from monitor.store import changes, checkpoints, runs
from monitor.store.access import audit
from monitor.webhooks.outbox import emit

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
    """Point an alias at the checkpoint; nothing happens if it is there already."""
    previous = checkpoints.move_alias(
        tx, run_id, alias, checkpoint.id, now, author=POLICY, expected=True
    )
    if previous == checkpoint.id:
        return
    detail = {"alias": alias, "step": checkpoint.step, "previous": previous, "reason": reason}
    audit.add(tx, run_id, now, actor=POLICY, action="promote", target=checkpoint.id, detail=detail)
    told: dict[str, Any] = {"checkpoint_id": checkpoint.id, "author": POLICY, **detail}
    emit(tx, "checkpoint.promoted", run_id, now, **told)
    changes.section_changed(tx, run_id, "checkpoints")
