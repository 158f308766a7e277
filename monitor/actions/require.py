"""The run or job that an action is about, or the error that refuses it."""

from typing import Any

from monitor import clock
from monitor.database.engine import Transaction
from monitor.errors import Deleted, NotFound, Purged
from monitor.store import deletion, jobs, runs


def run_or_404(tx: Transaction, run_id: str, *, locked: bool = False) -> Any:
    """Return the run's row; NotFound names the id, Purged says who ended it.

    `locked` is for acting on the run: Deleted is raised for one that has to be restored first.
    """
    run = runs.lock(tx, run_id) if locked else runs.get(tx, run_id)
    if run is None or run.deleted_at is not None:
        refuse_purged(tx, run_id)
    if run is None:
        raise NotFound(f"there is no run {run_id!r} here")
    if locked:
        refuse_deleted(run)
    return run


def job_or_404(tx: Transaction, job_id: str) -> Any:
    """Return the job's row; NotFound names the id."""
    job = jobs.get(tx, job_id)
    if job is None:
        raise NotFound(f"there is no job {job_id!r} here")
    return job


def is_purged(tx: Transaction, run_id: str) -> bool:
    """Return whether the run was purged, though rows of it may still be there."""
    return deletion.tombstone(tx, run_id) is not None


def refuse_purged(tx: Transaction, run_id: str) -> None:
    """Raise Purged when the run was purged, with who and when."""
    stone = deletion.tombstone(tx, run_id)
    if stone is not None:
        raise Purged(
            f"run {run_id} was purged by {stone.author} at {clock.when(stone.purged_at)} and takes no"
            " messages any more; record under a new run (leave CUSP_RUN_ID unset)"
        )


def refuse_deleted(run: Any) -> None:
    """Raise Deleted when the run is deleted."""
    if run.deleted_at is not None:
        raise Deleted(
            f"the run was deleted by {run.deleted_by} at {clock.when(run.deleted_at)};"
            f" restore it first (`cusp runs restore {run.id}`)"
        )
