"""Packs the points of long runs in blocks, behind the batches that brought them.

Every monitor does this. A transaction packs some 40,000 points under the run's lock, so that a batch of the run
waits for a fraction of a second at most, and two monitors take turns.
"""

import threading

from monitor.database.engine import Database
from monitor.store import runs
from monitor.store.packed import blocks

PACK_EVERY_S = 5.0
PAUSE_S = 0.02


class Packing:
    """What to pack. Once `closing` is set, a turn ends after the transaction it is at."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.closing = threading.Event()

    def turn(self) -> None:
        """Pack everything that is complete."""
        with self._database.read() as tx:
            found = blocks.waiting(tx)
        for run_id in found:
            while not self.closing.is_set() and self._packed_some(run_id):
                self.closing.wait(PAUSE_S)

    def _packed_some(self, run_id: str) -> bool:
        with self._database.write() as tx:
            return runs.lock(tx, run_id) is not None and blocks.pack_some(tx, run_id)
