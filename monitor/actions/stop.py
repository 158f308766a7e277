"""Stopping a run: the command to its trainer, and the record of who asked."""

from typing import Any

from monitor.actions.record import record
from monitor.actions.require import run_or_404
from monitor.database.engine import Transaction
from monitor.errors import Conflict
from monitor.runs import superseded
from monitor.store import commands, runs


def stop(
    tx: Transaction,
    run_id: str,
    now: float,
    author: str,
    *,
    reason: str,
    mode: str,
    lost_after_s: float,
) -> Any:
    """Ask the trainer to stop; return the command's row, that of a stop under way as it is.

    Only a `graceful` one beside one that waits for a save is asked for, too: somebody is in a hurry.
    Conflict is raised when nothing trains any more.
    """
    run = run_or_404(tx, run_id, locked=True)
    under_way = commands.pending(tx, run_id, "stop")
    if same := [row for row in under_way if row.mode in ("graceful", mode)]:
        return same[0]
    if run.status != "running" and not superseded.alive(
        runs.attempts_of(tx, run_id), now, lost_after_s
    ):
        raise Conflict(f"the run is {run.status} already; there is nothing to stop")
    command = commands.add(tx, run_id, now, kind="stop", reason=reason, author=author, mode=mode)
    record(tx, "stop.asked", run_id, now, by=author, detail={"reason": reason, "mode": mode})
    return command
