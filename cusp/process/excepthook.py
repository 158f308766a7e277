"""Remembers the exception that ends a process, so that its run can say why it failed."""

import os
import sys
from types import TracebackType

_last: str | None = None
_watching = False
_process: int | None = None  # the one that `_last` is of: a forked child dies for itself


def watch() -> None:
    """Remember uncaught exceptions from now on; what handled them before still does."""
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
