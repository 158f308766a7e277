"""Remembers the exception that ends a process, so that its run can say why it failed."""

import sys
from types import TracebackType

_last: str | None = None
_watching = False


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
        global _last
        _last = sentence(error)
        previous(kind, error, trace)

    sys.excepthook = remember


def last() -> str | None:
    """Return the exception that is ending this process, or None."""
    return _last


def sentence(error: BaseException) -> str:
    """Return an exception as one line of at most 2,000 characters.

    >>> sentence(ValueError("no such step"))
    'ValueError: no such step'
    """
    return f"{type(error).__name__}: {error}"[:2_000]
