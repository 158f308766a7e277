"""Records the uncaught exception that ends a process, as the reason of a failed run."""

import os
import sys
from types import TracebackType

_last: str | None = None
_watching = False
_process: int | None = None  # pid that `_last` belongs to: a forked child has its own exceptions


def watch() -> None:
    """Record uncaught exceptions from now on, then call the previous hook."""
    global _watching
    if _watching:
        return
    _watching = True
    previous = sys.excepthook

    def remember(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        global _last, _process
        _last, _process = sentence(error), os.getpid()
        previous(kind, error, trace)

    sys.excepthook = remember


def last() -> str | None:
    """Return the exception that is ending this process, or None."""
    return _last if _process == os.getpid() else None


def sentence(error: BaseException) -> str:
    """Return an exception as one line of at most 2,000 characters.

    >>> sentence(ValueError("no such step"))
    'ValueError: no such step'
    >>> sentence(KeyboardInterrupt())
    'KeyboardInterrupt'
    """
    said = str(error)
    return (f"{type(error).__name__}: {said}" if said else type(error).__name__)[:2_000]
