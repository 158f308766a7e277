"""Where the pages are: the prefix that a proxy puts before every path, for the request at hand."""

from contextvars import ContextVar

PREFIX: ContextVar[str] = ContextVar("prefix", default="")
"""Empty, or like `/cusp`. The monitor sets it for each request; threads that answer carry it along."""

SESSION: ContextVar[bool] = ContextVar("session", default=False)
"""Whether the request came with a browser's session, so that there is one to end."""


def at(path: str) -> str:
    """Return the path as a browser has to ask for it.

    >>> at("/runs/01J")
    '/runs/01J'
    """
    return PREFIX.get() + path


def cookie_path() -> str:
    """Return the path below which the browser sends the monitor's cookies."""
    return PREFIX.get() or "/"


def has_session() -> bool:
    """Return whether the page is shown to somebody who logged in, and so can log out."""
    return SESSION.get()
