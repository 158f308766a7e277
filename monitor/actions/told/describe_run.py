"""A person names a run anew, tags it, or writes notes on it."""

from collections.abc import Mapping
from typing import Any

from monitor.actions.record import record
from monitor.actions.require import run_or_404
from monitor.database.engine import Transaction
from monitor.store import run_list, runs


def describe_run(tx: Transaction, run: Any, told: Mapping[str, Any], now: float, actor: str) -> Any:
    """Set `name`, `tags` and `notes` of a locked run, those that are in `told`; return its row.

    Tags lose repeats and keep their order; empty notes are none. What is as before leaves no audit row.
    """
    values = dict(told)
    if "tags" in values:
        values["tags"] = list(dict.fromkeys(values["tags"]))
    if "notes" in values:
        values["notes"] = values["notes"] or None
    values = {name: value for name, value in values.items() if value != getattr(run, name)}
    if not values:
        return run
    runs.change(tx, run.id, **values)
    changed = run_or_404(tx, run.id)
    run_list.find_anew(tx, changed)
    before = {name: getattr(run, name) for name in values}
    record(tx, "run.described", run.id, now, by=actor, detail={**values, "before": before})
    return changed
