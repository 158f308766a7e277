"""A background thread for work that the training must not wait for, first in, first out; some of it can wait.

A daemon thread with a queue rather than an executor: executors refuse work while the interpreter runs its
exit handlers.
"""

import logging
import os
import queue
import threading
from collections.abc import Callable

log = logging.getLogger("cusp")


class BackgroundThread:
    """Runs submitted callables one after another in a thread of this name; exceptions are logged."""

    def __init__(self, name: str) -> None:
        self._process = os.getpid()  # a forked child has the queue without the thread
        self._work: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._later: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._turns: queue.SimpleQueue[None] = queue.SimpleQueue()  # as many as there is work
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[], object], *, later: bool = False) -> None:
        """Queue a callable, with `later` behind all other work; does nothing in a forked child."""
        if os.getpid() == self._process:
            (self._later if later else self._work).put(work)
            self._turns.put(None)

    def settle(self, timeout_s: float) -> bool:
        """Wait for everything submitted so far; return whether it was done within the time.

        True at once in a forked child, and in the thread itself, whose own work goes before.
        """
        if os.getpid() != self._process or threading.current_thread() is self._thread:
            return True
        done = threading.Event()
        self.submit(done.set, later=True)
        return done.wait(timeout_s)

    def close(self) -> None:
        """End the thread after the queued work; wait briefly."""
        if os.getpid() != self._process:
            return
        self._later.put(None)
        self._turns.put(None)
        self._thread.join(2.0)

    def _run(self) -> None:
        while work := self._next():
            try:
                work()
            except Exception:  # later work must still be done, and the training is not affected
                log.exception("Cusp failed in %s; please report this", self._thread.name)

    def _next(self) -> Callable[[], object] | None:
        self._turns.get()
        try:
            return self._work.get_nowait()
        except queue.Empty:
            return self._later.get_nowait()
