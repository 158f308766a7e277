"""Several monitors on one PostgreSQL: each tells the others which runs changed.

Told after the commit and outside its transaction (a NOTIFY inside takes a lock that all committers
share), at most four times a second for a run, by a thread that no request waits for. A monitor killed
between commit and telling, or a connection that breaks, costs time but no data: streams look for
themselves every `LOOK_EVERY_S` (monitor/live/changes.py) and read by cursor.
"""

import logging
import threading
from collections.abc import Callable, Set

from monitor.database import notify

EVERY_S = 0.25
RETRY_S = 1.0
_log = logging.getLogger(__name__)


class PostgresNotify:
    """Two threads: one tells, one listens and calls `changed` with the run ids heard."""

    def __init__(self, url: str, changed: Callable[[Set[str]], None]) -> None:
        self._url = url
        self._changed = changed
        self._waiting: set[str] = set()
        self._guard = threading.Lock()
        self._some = threading.Event()
        self._closing = threading.Event()
        self._own = 0  # the telling connection, whose echo is not news
        self._threads = [
            threading.Thread(target=self._keep, args=(work,), name=f"fanout-{name}", daemon=True)
            for name, work in (("tell", self._tell), ("listen", self._listen))
        ]

    def start(self) -> None:
        """Begin telling and listening."""
        for thread in self._threads:
            thread.start()

    def tell(self, run_ids: Set[str]) -> None:
        """Tell the other monitors soon. Never blocks."""
        with self._guard:
            self._waiting.update(run_ids)
        self._some.set()

    def close(self) -> None:
        """End both threads, having told what was waiting where the server still answers."""
        self._closing.set()
        self._some.set()
        for thread in self._threads:
            thread.join(2 * EVERY_S)

    def _keep(self, work: Callable[[notify.Connection], None]) -> None:
        while not self._closing.is_set():
            try:
                with notify.connect(self._url) as connection:
                    work(connection)
            except notify.Lost as error:
                if not self._closing.is_set():
                    _log.warning("no news from other monitors for now: %s", str(error).strip())
                self._closing.wait(RETRY_S)

    def _tell(self, connection: notify.Connection) -> None:
        self._own = notify.process_of(connection)
        while not self._closing.is_set():
            self._some.wait()
            self._some.clear()
            with self._guard:
                told, self._waiting = sorted(self._waiting), set()
            try:
                notify.tell(connection, told)
            except notify.Lost:
                with self._guard:
                    self._waiting |= set(told)
                self._some.set()
                raise
            self._closing.wait(EVERY_S)

    def _listen(self, connection: notify.Connection) -> None:
        notify.listen(connection)
        while not self._closing.is_set():
            for run_id, sender in notify.heard(connection, EVERY_S):
                if sender != self._own:
                    self._changed({run_id})
