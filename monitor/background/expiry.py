"""Expires commands, leases and remembered answers, and notices runs that fell silent.

Every monitor does this. What two find at once is ended by one of them, because each change is a conditional
UPDATE, in the order of locks that the requests keep, so that the two never wait for each other.
"""

from collections.abc import Callable, Set
from typing import Any

from monitor.actions import lease
from monitor.actions.record import record
from monitor.database.engine import Database, Transaction
from monitor.runs import looks
from monitor.store import commands, jobs, runs
from monitor.store.access import idempotency

SWEEP_EVERY_S = 2.0


class Expiry:
    """What to expire; `changed` is called with the ids of the runs that are `lost` by now."""

    def __init__(
        self,
        database: Database,
        changed: Callable[[Set[str]], None],
        clock: Callable[[], float],
        lost_after_s: float,
    ) -> None:
        self._database, self._changed, self._clock = database, changed, clock
        self._lost_after_s = lost_after_s
        self._swept_at = clock()

    def sweep(self) -> set[str]:
        """Expire what is overdue and return the runs that were lost since the last time."""
        now = self._clock()
        expire_overdue(self._database, now)
        with self._database.read() as tx:
            lost = set(runs.newly_lost(tx, self._swept_at, now, self._lost_after_s))
        self._swept_at = now
        if lost:
            self._changed(lost)
        return lost


def expire_overdue(database: Database, now: float) -> None:
    """End the commands, leases and remembered answers whose time is over."""
    with database.read() as tx:
        late_commands = sorted({row.run_id for row in commands.overdue(tx, now)})
        late_jobs = jobs.overdue(tx, now)
        unclaimed = jobs.unclaimed(tx, "verify", now - looks.UNCLAIMED_S)
        forgotten = idempotency.has_older(tx, now)
    for run_id in late_commands:
        with database.write() as tx:
            _expire_commands(tx, run_id, now)
    for job in late_jobs:
        with database.write() as tx:
            lease.give_up(tx, job, now)
    for job in unclaimed:
        with database.write() as tx:
            lease.end_unclaimed(tx, job, now)
    if forgotten:
        with database.write() as tx:
            idempotency.forget_older(tx, now)


def _expire_commands(tx: Transaction, run_id: str, now: float) -> None:
    run = runs.lock(tx, run_id)
    ended = [
        commands.expire_one(tx, row, now, _reason(row, run, now))
        for row in commands.overdue(tx, now)
        if row.run_id == run_id
    ]
    if any(ended):
        record(tx, "commands.expired", run_id, now)


def _reason(row: Any, run: Any, now: float) -> str:
    """Return why a command ran out, by what is known of its trainer."""
    silent_s = now - run.last_contact_at
    if row.state == "agreed":
        return f"the trainer agreed at step {row.step} and never said that it was done"
    if silent_s > 60:
        return f"the trainer has not been heard of for {_span(silent_s)}; ask again when it is back"
    if row.state == "delivered":
        return (
            f"the trainer heard it and did not act within {_span(now - row.created_at)}; ask again"
        )
    return f"the trainer sends but never took it within {_span(now - row.created_at)}"


def _span(seconds: float) -> str:
    """Return a time in words.

    >>> _span(90.0), _span(3700.0)
    ('2 minutes', '1.0 hours')
    """
    return f"{seconds / 60:.0f} minutes" if seconds < 3600 else f"{seconds / 3600:.1f} hours"
