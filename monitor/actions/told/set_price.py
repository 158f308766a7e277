"""A person tells the price of a run's GPU hour, when it was not known at its start or was wrong."""

from typing import Any

from monitor.actions.record import record
from monitor.actions.require import run_or_404
from monitor.database.engine import Transaction
from monitor.store import runs


def set_price(tx: Transaction, run: Any, usd: float, now: float, actor: str) -> Any:
    """Set the price of one GPU hour of a locked run in US dollars; return its row."""
    before = run.metadata.get("gpu_hourly_usd")
    if usd == before:
        return run
    runs.change(tx, run.id, metadata={**run.metadata, "gpu_hourly_usd": usd})
    record(
        tx, "run.priced", run.id, now, by=actor, detail={"gpu_hourly_usd": usd, "before": before}
    )
    return run_or_404(tx, run.id)
