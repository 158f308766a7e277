"""What time alone does: commands and leases run out, silent runs become `lost`, though nobody asks.

Every monitor sweeps. What two find at once is ended by one of them, because each change is a conditional
UPDATE, in the order of locks that the requests keep, so that the two never wait for each other.
"""

import logging
import threading
from collections.abc import Callable
from typing import Any

from monitor.actions import evaluate
from monitor.database.engine import Database, Transaction, Unavailable
from monitor.store import changes, commands, jobs, runs
from monitor.store.access import idempotency

log = logging.getLogger("cusp")

SWEEP_EVERY_S = 2.0


class ExpiryThread:
    """A thread that sweeps every `SWEEP_EVERY_S`; `changed` is called with every run id touched."""

    def __init__(
        self,
        database: Database,
        changed: Callable[[str], None],
        clock: Callable[[], float],
        lost_after_s: float,
    ) -> None:
        self._database, self._changed, self._clock = database, changed, clock
        self._lost_after_s = lost_after_s
        self._swept_at = clock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cusp-sweep", daemon=True)

    def start(self) -> None:
        """Begin to sweep."""
        self._thread.start()

    def close(self) -> None:
        """End the thread; what is under way is finished first."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(5.0)

    def sweep(self) -> set[str]:
        """End what is overdue and return the runs whose viewers should look."""
        now = self._clock()
        touched = expire_overdue(self._database, now)
        with self._database.read() as tx:
            touched |= set(runs.newly_lost(tx, self._swept_at, now, self._lost_after_s))
        self._swept_at = now
        for run_id in touched:
            self._changed(run_id)
        return touched

    def _run(self) -> None:
        away = False
        while not self._ended.wait(SWEEP_EVERY_S):
            try:
                self.sweep()
                away = False
            except Unavailable as error:
                if not away:  # /readyz says so too; once in the log is enough
                    log.warning("nothing expires until the database is back: %s", error)
                away = True


def expire_overdue(database: Database, now: float) -> set[str]:
    """End the commands, leases and remembered answers whose time is over; return the runs touched."""
    touched = set()
    with database.read() as tx:
        late_commands = sorted({row.run_id for row in commands.overdue(tx, now)})
        late_jobs = jobs.overdue(tx, now)
        forgotten = idempotency.has_older(tx, now)
    for run_id in late_commands:
        with database.write() as tx:
            if _expire_commands(tx, run_id, now):
                touched.add(run_id)
    for job in late_jobs:
        with database.write() as tx:
            if jobs.give_up_one(tx, job.id, now):  # before the run's row, as workers' requests do
                changes.section_changed(tx, job.run_id, "jobs")
                evaluate.tell_ended(tx, job, now, "its worker was lost again and again")
                touched.add(job.run_id)
    if forgotten:
        with database.write() as tx:
            idempotency.forget_older(tx, now)
    return touched


def _expire_commands(tx: Transaction, run_id: str, now: float) -> bool:
    run = runs.lock(tx, run_id)
    ended = [
        commands.expire_one(tx, row, now, _reason(row, run, now))
        for row in commands.overdue(tx, now)
        if row.run_id == run_id
    ]
    if any(ended):
        changes.section_changed(tx, run_id, "commands")
        changes.add(tx, run_id, "run", {})  # a run is `stopping` no more
    return any(ended)


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
