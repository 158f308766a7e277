"""What time does to runs that are over: deleted after `keep_days`, purged `deleted_days` after that.

Every monitor does this. A purge takes the run's lock for one chunk at a time, so that ingest of other
runs waits for a few thousand rows at most, and two monitors purging one run take turns.
"""

import logging
import threading
from collections.abc import Callable

from monitor.actions import delete as acts
from monitor.actions.delete import DAY_S
from monitor.database.engine import Database, Unavailable
from monitor.errors import Undeletable
from monitor.store import deletion, runs
from monitor.store.access import deliveries

log = logging.getLogger("cusp")

LOOK_EVERY_S = 60.0
PURGES_EVERY_S = 2.0
CHUNK_ROWS = 2_000
PAUSE_S = 0.02
DELIVERED_DAYS, DEAD_DAYS = 7.0, 30.0
POLICY = deletion.POLICY


class RetentionThread:
    """A thread that deletes and purges what is due. `changed` is called with each run's id."""

    def __init__(
        self,
        database: Database,
        changed: Callable[[str], None],
        clock: Callable[[], float],
        *,
        deleted_days: float,
        keep_days: float | None,
        lost_after_s: float,
    ) -> None:
        self._database, self._changed, self._clock = database, changed, clock
        self._deleted_days, self._keep_days = deleted_days, keep_days
        self._lost_after_s = lost_after_s
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cusp-retention", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """End the thread after the chunk it is at."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(5.0)

    def look(self) -> None:
        """Delete and purge everything that is due now."""
        self.delete_old()
        self.begin_purges()
        self.purge()
        self.forget_deliveries()

    def delete_old(self) -> None:
        """Delete runs that ended longer than `keep_days` ago."""
        if self._keep_days is None:
            return
        now = self._clock()
        with self._database.read() as tx:
            found = deletion.old(tx, now - self._keep_days * DAY_S)
        for run_id in found:
            self._act(acts.soft_delete, run_id, now)

    def begin_purges(self) -> None:
        """Begin to purge the runs whose time to be restored is over."""
        now = self._clock()
        with self._database.read() as tx:
            found = deletion.expired(tx, now - self._deleted_days * DAY_S)
        for run_id in found:
            self._act(acts.purge, run_id, now)

    def purge(self) -> int:
        """Remove the rows of all purged runs, chunk by chunk; return how many there were."""
        with self._database.read() as tx:
            waiting = deletion.unfinished(tx)
        return sum(self._purge(run_id) for run_id in waiting)

    def forget_deliveries(self) -> None:
        """Forget webhook deliveries that ended long ago."""
        now = self._clock()
        with self._database.write() as tx:
            deliveries.forget_older(tx, now - DELIVERED_DAYS * DAY_S, now - DEAD_DAYS * DAY_S)

    def _purge(self, run_id: str) -> int:
        total = 0
        while not self._closing.is_set():
            with self._database.write() as tx:
                runs.lock(tx, run_id)  # no job of it is waiting or leased any more
                count = deletion.remove_some(tx, run_id, CHUNK_ROWS, self._clock())
            if not count:
                break
            total += count
            self._closing.wait(PAUSE_S)
        return total

    def _act(self, act: Callable[..., None], run_id: str, now: float) -> None:
        try:
            with self._database.write() as tx:
                run = deletion.lock(tx, run_id)
                if run is not None and deletion.tombstone(tx, run_id) is None:
                    act(tx, run, now, POLICY, lost_after_s=self._lost_after_s, promoted_too=True)
        except Undeletable:
            return  # in use again; the next look may find otherwise
        self._changed(run_id)

    def _run(self) -> None:
        waited_s = 0.0
        while not self._closing.wait(PURGES_EVERY_S):
            waited_s += PURGES_EVERY_S
            try:
                if waited_s < LOOK_EVERY_S:
                    self.purge()
                else:
                    waited_s = 0.0
                    self.look()
            except Unavailable as error:
                if not self._closing.is_set():
                    log.warning("the database is away, so nothing is purged: %s", error)
