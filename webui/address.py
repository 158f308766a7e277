"""URL paths with the prefix of the current request's proxy."""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any
from urllib.parse import urlencode

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


def query_at(path: str, given: Mapping[str, Any], safe: str = "") -> str:
    """Return `at(path)` with the query of what is given; None is left out, a list is a parameter a value.

    >>> query_at("/runs", {"q": "a b", "page": None, "x": [1, 2]}), query_at("/", {})
    ('/runs?q=a+b&x=1&x=2', '/')
    """
    kept = {name: value for name, value in given.items() if value is not None}
    return at(path) + (f"?{urlencode(kept, doseq=True, safe=safe)}" if kept else "")


def cookie_path() -> str:
    """Return the Path attribute of the monitor's cookies."""
    return PREFIX.get() or "/"


def has_session() -> bool:
    """Return whether the request has a session, so that the page offers to log out."""
    return SESSION.get()
