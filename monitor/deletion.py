"""Deleting a run in two steps: hidden and restorable first, purged later. Acts inside a transaction.

Files are never touched: a path that came over the network is no authority to delete anything. What
remains on the training box is said instead.
"""

from collections.abc import Sequence
from typing import Any

from monitor import views
from monitor.store import audit, checkpoints, deletion, feed
from monitor.store.database import Transaction
from monitor.webhooks import tell

DAY_S = 86_400.0
MOST_PATHS = 1_000


class Undeletable(RuntimeError):
    """The run cannot be deleted, restored or purged now; the message says why and what would help."""


class Deleted(RuntimeError):
    """The run is deleted; it has to be restored before anything is done with it."""


class Purged(LookupError):
    """The run is gone for good, and what still arrives for it is refused."""


def is_purged(tx: Transaction, run_id: str) -> bool:
    """Return whether the run was purged, though rows of it may still be there."""
    return deletion.tombstone(tx, run_id) is not None


def refuse_purged(tx: Transaction, run_id: str) -> None:
    """Raise Purged when the run was purged, with who and when."""
    stone = deletion.tombstone(tx, run_id)
    if stone is not None:
        raise Purged(
            f"run {run_id} was purged by {stone.author} at {views.when(stone.purged_at)} and takes no"
            " messages any more; record under a new run (leave CUSP_RUN_ID unset)"
        )


def refuse_deleted(run: Any) -> None:
    """Raise Deleted when the run is deleted."""
    if run.deleted_at is not None:
        raise Deleted(
            f"the run was deleted by {run.deleted_by} at {views.when(run.deleted_at)};"
            f" restore it first (`cusp runs restore {run.id}`)"
        )


def hide(
    tx: Transaction, run: Any, now: float, by: str, *, lost_after_s: float, promoted_too: bool
) -> None:
    """Delete a run so that it can be restored; Undeletable while it lives or is in use."""
    if run.deleted_at is not None:
        return
    _refuse_live(tx, run, now, lost_after_s)
    _refuse_promoted(tx, run, promoted_too)
    deletion.hide(tx, run.id, now, by)
    audit.add(tx, run.id, now, actor=by, action="delete", target=run.id, detail=remains(tx, run.id))
    tell(tx, "run.deleted", run.id, now, author=by)
    _changed(tx, run.id)


def restore(tx: Transaction, run: Any, now: float, by: str) -> None:
    """Bring a deleted run back; one that is not deleted stays as it is."""
    if run.deleted_at is None:
        return
    deletion.restore(tx, run.id)
    audit.add(tx, run.id, now, actor=by, action="restore", target=run.id)
    tell(tx, "run.restored", run.id, now, author=by)
    _changed(tx, run.id)


def purge(
    tx: Transaction, run: Any, now: float, by: str, *, lost_after_s: float, promoted_too: bool
) -> None:
    """Begin to remove a deleted run for good; monitor/retention.py removes its rows."""
    if run.deleted_at is None:
        raise Undeletable(f"the run is not deleted; do that first (`cusp runs delete {run.id}`)")
    _refuse_live(tx, run, now, lost_after_s)
    _refuse_promoted(tx, run, promoted_too)
    left = {**remains(tx, run.id), "paths": _paths(tx, run.id)}
    audit.add(tx, run.id, now, actor=by, action="purge", target=run.id, detail=left)
    tell(tx, "run.purged", run.id, now, author=by)
    deletion.bury(tx, run.id, now, by)


def remains(tx: Transaction, run_id: str) -> dict[str, Any]:
    """Return what of the run stays on the training box whatever happens here."""
    return remains_by_run(tx, [run_id])[run_id]


def remains_by_run(tx: Transaction, run_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return what `remains` does, for many runs at once."""
    names = ("checkpoints", "pinned", "bytes")
    found = checkpoints.remains_by_run(tx, run_ids)
    return {run_id: dict(zip(names, counts, strict=True)) for run_id, counts in found.items()}


def remains_words(left: dict[str, Any]) -> str:
    """Return `remains` as a sentence.

    >>> remains_words({"checkpoints": 2, "pinned": 1, "bytes": 3_000_000})
    '2 checkpoints (3.0 MB, 1 pinned) stay on the training box; delete them there if they are not wanted'
    """
    if not left["checkpoints"]:
        return "no checkpoint of it is known to be on a training box"
    return (
        f"{left['checkpoints']} checkpoints ({left['bytes'] / 1e6:.1f} MB, {left['pinned']} pinned) stay"
        " on the training box; delete them there if they are not wanted"
    )


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


def _changed(tx: Transaction, run_id: str) -> None:
    feed.section_changed(tx, run_id, "decisions")
    feed.add(tx, run_id, "run", {})
