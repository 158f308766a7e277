"""Stopping a run: the command to its trainer, and the record of who asked."""

from typing import Any

from monitor.database.engine import Transaction
from monitor.store import changes, commands
from monitor.store.access import audit


def stop(tx: Transaction, run_id: str, now: float, reason: str, mode: str, author: str) -> Any:
    """Ask the trainer to stop; return the command's row."""
    command = commands.add(tx, run_id, now, kind="stop", reason=reason, author=author, mode=mode)
    audit.add(
        tx,
        run_id,
        now,
        actor=author,
        action="stop",
        target=run_id,
        detail={"reason": reason, "mode": mode},
    )
    changes.section_changed(tx, run_id, "commands")
    changes.add(tx, run_id, "run", {})
    return command
