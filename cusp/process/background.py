"""One background thread for slow work on disk (hashing, pinning), in the order it was asked for.

A daemon thread with a queue rather than an executor: the work must still be possible while the
interpreter runs its exit handlers, where executors refuse it.
"""

import logging
import os
import queue
import threading
from collections.abc import Callable

log = logging.getLogger("cusp")


class BackgroundThread:
    """Runs what is submitted, one after another; what it raises is logged."""

    def __init__(self) -> None:
        self._process = os.getpid()  # a forked child has the queue without the thread
        self._work: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="cusp-keeper", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[], object]) -> None:
        """Queue a piece of work; nothing in a forked child."""
        if os.getpid() == self._process:
            self._work.put(work)

    def settle(self, timeout_s: float) -> bool:
        """Wait until everything submitted so far is done; return whether that was in time."""
        if os.getpid() != self._process:
            return True
        done = threading.Event()
        self._work.put(done.set)
        return done.wait(timeout_s)

    def close(self) -> None:
        """End the thread after what is queued; wait briefly."""
        if os.getpid() != self._process:
            return
        self._work.put(None)
        self._thread.join(2.0)

    def _run(self) -> None:
        while work := self._work.get():
            try:
                work()
            except (
                Exception
            ):  # what comes after it must still be done, and the training knows nothing
                log.exception("Cusp failed at a checkpoint; please report this")
