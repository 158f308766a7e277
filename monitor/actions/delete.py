"""Deleting a run in two steps: hidden and restorable first, purged later. Acts inside a transaction.

Files are never touched: a path that came over the network is no authority to delete anything. What
remains on the training box is said instead.
"""

from typing import Any

from monitor.actions.record import record
from monitor.actions.require import refuse_purged
from monitor.database.engine import Transaction
from monitor.errors import NotFound, Undeletable
from monitor.schemas.deletion import remains
from monitor.store import checkpoints, deletion

DAY_S = 86_400.0
MOST_PATHS = 1_000


def locked(tx: Transaction, run_id: str) -> Any:
    """Lock the run, deleted or not, and return its row; Purged or NotFound when it is not there."""
    run = deletion.lock(tx, run_id)
    refuse_purged(tx, run_id)
    if run is None:
        raise NotFound(f"there is no run {run_id!r} here")
    return run


def soft_delete(
    tx: Transaction, run: Any, now: float, by: str, *, lost_after_s: float, promoted_too: bool
) -> None:
    """Delete a run so that it can be restored; Undeletable while it lives or is in use."""
    if run.deleted_at is not None:
        return
    _refuse_live(tx, run, now, lost_after_s)
    _refuse_promoted(tx, run, promoted_too)
    deletion.soft_delete(tx, run.id, now, by)
    left = remains(tx, run.id)
    record(tx, "run.deleted", run.id, now, by=by, detail=left, told={"author": by})


def restore(tx: Transaction, run: Any, now: float, by: str) -> None:
    """Bring a deleted run back; one that is not deleted stays as it is."""
    if run.deleted_at is None:
        return
    deletion.restore(tx, run.id)
    record(tx, "run.restored", run.id, now, by=by, told={"author": by})


def purge(
    tx: Transaction, run: Any, now: float, by: str, *, lost_after_s: float, promoted_too: bool
) -> None:
    """Begin to remove a deleted run for good; monitor/background/retention.py removes its rows."""
    if run.deleted_at is None:
        raise Undeletable(f"the run is not deleted; do that first (`cusp runs delete {run.id}`)")
    _refuse_live(tx, run, now, lost_after_s)
    _refuse_promoted(tx, run, promoted_too)
    left = {**remains(tx, run.id), "paths": _paths(tx, run.id)}
    record(tx, "run.purged", run.id, now, by=by, detail=left, told={"author": by})
    deletion.begin_purge(tx, run.id, now, by)


def _refuse_live(tx: Transaction, run: Any, now: float, lost_after_s: float) -> None:
    silent_s = now - run.last_contact_at
    if run.status == "running" and silent_s <= lost_after_s:
        raise Undeletable(
            f"the run is live, its trainer was heard of {max(0.0, silent_s):.0f} s ago;"
            f" stop it first (`cusp stop {run.id}`)"
        )
    if worker := deletion.worker_of(tx, run.id, now):
        raise Undeletable(f"the worker {worker!r} is busy with the run; try again when it is done")


def _refuse_promoted(tx: Transaction, run: Any, promoted_too: bool) -> None:
    found = deletion.promoted(tx, run.id)
    if found and not promoted_too:
        raise Undeletable(
            f"{' and '.join(found)} points at a checkpoint of this run; to delete the run all the same,"
            " say so with confirm_promoted (`--promoted-too`)"
        )


def _paths(tx: Transaction, run_id: str) -> list[str]:
    found = [row.path for row in checkpoints.of_run(tx, run_id) if row.state != "missing"]
    return found[:MOST_PATHS]
