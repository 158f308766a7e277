"""A thread that does some work again and again, through an absent database and through faults of ours."""

import logging
import threading
from collections.abc import Callable

from monitor.database.engine import Unavailable

log = logging.getLogger("cusp")


class PeriodicThread:
    """Calls `work` every `every_s` seconds, and sooner when `wake` is set, until it is closed.

    While the database is away one warning says so, with what does not happen (`without`). Any other error is
    a fault of ours: its traceback is logged once, and the next turn comes. `closing` is set by `close`, for
    work that takes long to look at.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], object],
        every_s: float,
        *,
        without: str,
        wake: threading.Event | None = None,
        closing: threading.Event | None = None,
    ) -> None:
        self._work, self._every_s, self._without = work, every_s, without
        self._wake = wake or threading.Event()
        self._closing = closing or threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin; the first turn comes after `every_s`."""
        self._thread.start()

    def close(self, most_s: float = 5.0) -> None:
        """End the thread, waiting `most_s` seconds at most for the turn that is under way."""
        self._closing.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(most_s)

    def _run(self) -> None:
        away, fault = False, ""
        while not self._closing.is_set():
            self._wake.wait(self._every_s)
            self._wake.clear()
            if self._closing.is_set():
                return
            try:
                self._work()
                away, fault = False, ""
            except Unavailable as error:
                if not away and not self._closing.is_set():  # /readyz says so too: once will do
                    log.warning("the database is away, so %s: %s", self._without, error)
                away = True
            except Exception as error:  # broad: one bad row must not end all expiry until a restart
                if repr(error) != fault:  # the same each turn: once will do
                    log.exception("%s failed and goes on; please report this", self._thread.name)
                fault = repr(error)
