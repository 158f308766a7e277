"""Work on a run's messages that the training does not wait for: made and written in a thread of its own, in order."""

from collections.abc import Callable

from cusp.process.background import BackgroundThread

# Works not done, which a kill loses; before another one the training waits. One is written while the next step is
# made, so it seldom does.
MOST = 2
LONGEST_S = 10.0  # a disk that stands still longer does not end the training


class Deferred:
    """Works of one training, submitted by one thread; that thread starts with the first of them."""

    def __init__(self) -> None:
        self._thread: BackgroundThread | None = None
        self._given = self._done = 0

    def submit(self, work: Callable[[], None]) -> None:
        """Have `work` done in the thread."""
        if self._thread is None:
            self._thread = BackgroundThread("cusp-writer")
        elif self._given - self._done >= MOST:
            self.settle()
        self._given += 1
        number = self._given

        def numbered() -> None:
            try:
                work()
            finally:
                self._done = number

        self._thread.submit(numbered)

    def settle(self) -> None:
        """Wait until all work given so far is done, for 10 s at most; in the thread itself for nothing."""
        if self._thread is not None and self._done != self._given:
            self._thread.settle(LONGEST_S)

    def close(self) -> None:
        """End the thread after the work given."""
        if self._thread is not None:
            self.settle()
            self._thread.close()
            self._thread = None
