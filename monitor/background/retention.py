"""Deletes runs `keep_days` after their end, and purges them `deleted_days` after that.

Every monitor does this. A purge takes the run's lock for one chunk at a time, so that ingest of other
runs waits for a few thousand rows at most, and two monitors purging one run take turns.
"""

import threading
import time
from collections.abc import Callable

from monitor.actions import delete
from monitor.actions.delete import DAY_S
from monitor.database.engine import Database
from monitor.errors import NotFound, Purged, Undeletable
from monitor.store import deletion, runs
from monitor.store.access import deliveries

LOOK_EVERY_S = 60.0
PURGES_EVERY_S = 2.0
CHUNK_ROWS = 2_000
PAUSE_S = 0.02
DELIVERED_DAYS, DEAD_DAYS = 7.0, 30.0
POLICY = deletion.POLICY


class Retention:
    """What to delete and purge. Once `closing` is set, a purge ends after the chunk it is at."""

    def __init__(
        self,
        database: Database,
        clock: Callable[[], float],
        *,
        deleted_days: float,
        keep_days: float | None,
        lost_after_s: float,
    ) -> None:
        self._database, self._clock = database, clock
        self._deleted_days, self._keep_days = deleted_days, keep_days
        self._lost_after_s = lost_after_s
        self.closing = threading.Event()
        self._looked_at = time.monotonic()

    def turn(self) -> None:
        """Go on with the purges that have begun; look for new ones every `LOOK_EVERY_S`."""
        if time.monotonic() - self._looked_at < LOOK_EVERY_S:
            self.purge()
        else:
            self._looked_at = time.monotonic()
            self.look()

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
            self._act(delete.soft_delete, run_id, now)

    def begin_purges(self) -> None:
        """Begin to purge the runs whose time to be restored is over."""
        now = self._clock()
        with self._database.read() as tx:
            found = deletion.expired(tx, now - self._deleted_days * DAY_S)
        for run_id in found:
            self._act(delete.purge, run_id, now)

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
        while not self.closing.is_set():
            with self._database.write() as tx:
                runs.lock(tx, run_id)  # no job of it is waiting or leased any more
                count = deletion.remove_some(tx, run_id, CHUNK_ROWS, self._clock())
            if not count:
                break
            total += count
            self.closing.wait(PAUSE_S)
        return total

    def _act(self, act: Callable[..., None], run_id: str, now: float) -> None:
        try:
            with self._database.write() as tx:
                run = delete.locked(tx, run_id)
                act(tx, run, now, POLICY, lost_after_s=self._lost_after_s, promoted_too=True)
        except (NotFound, Purged, Undeletable):
            return  # gone meanwhile, or in use again; the next look may find otherwise
