"""Queueing an export: a worker on the box that has the checkpoint writes it into a folder to serve."""

from typing import Any

from monitor.actions import quotas
from monitor.actions.promote import usable
from monitor.actions.record import record
from monitor.database.engine import Transaction
from monitor.store import jobs


def asked_for(tx: Transaction, checkpoint_id: str, now: float, author: str, *, merged: bool) -> Any:
    """Queue the export of a checkpoint, merged into its base or as an adapter, and return the job.

    Conflict for one that is missing or corrupt, QuotaExceeded when too many jobs of the run wait already.
    """
    row = usable(tx, checkpoint_id)
    quotas.check_jobs(tx, row.run_id)
    payload = {
        "checkpoint_id": row.id,
        "step": row.step,
        "path": row.path,
        "sha256": row.sha256,
        "merged": merged,
    }
    job = jobs.add(tx, row.run_id, "export", payload, now)
    record(tx, "export.asked", row.run_id, now, by=author, target=row.id)
    return job
