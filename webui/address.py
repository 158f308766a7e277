"""URL paths with the prefix of the current request's proxy."""

from contextvars import ContextVar

PREFIX: ContextVar[str] = ContextVar("prefix", default="")
"""Empty, or like `/cusp`. The monitor sets it for each request; threads that answer carry it along."""

SESSION: ContextVar[bool] = ContextVar("session", default=False)
"""Whether the request came with a browser's session, so that there is one to end."""


def at(path: str) -> str:
    """Return the path with the proxy's prefix, as the browser must request it.

    >>> at("/runs/01J")
    '/runs/01J'
    """
    return PREFIX.get() + path


def cookie_path() -> str:
    """Return the Path attribute of the monitor's cookies."""
    return PREFIX.get() or "/"


def has_session() -> bool:
    """Return whether the request has a session, so that the page offers to log out."""
    return SESSION.get()
