"""Path prefix of a reverse proxy: validation, and removal from a path. Pure."""

import re

from cusp.errors import CuspError

# Unreserved characters only: a prefix is written into pages, cookies and Location without escaping.
_PREFIX = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")
_OURS = ("api", "runs", "static", "login", "logout", "healthz", "readyz", "metrics", "openapi.json")
LONGEST = 200


class BadPrefix(CuspError, ValueError):
    """The prefix is invalid; the message says what is allowed."""


def prefix_of(given: str) -> str:
    """Return the prefix with a leading and no trailing slash, "" for none; BadPrefix if it is invalid.

    >>> prefix_of("cusp/"), prefix_of("/"), prefix_of("/team-a/cusp")
    ('/cusp', '', '/team-a/cusp')
    """
    plain = given.strip().strip("/")
    if not plain:
        return ""
    found = f"/{plain}"
    if not _PREFIX.fullmatch(found) or len(found) > LONGEST:
        raise BadPrefix(
            f"the path prefix is {given[:LONGEST]!r}; use one like /cusp: letters, digits, - . _ ~ between slashes"
        )
    if plain.partition("/")[0] in _OURS:
        # Ambiguous: the proxy may have removed the prefix or left it.
        raise BadPrefix(
            f"the path prefix is {given!r}, which the monitor's own addresses begin with; use another, like /cusp"
        )
    return found


def without(prefix: str, path: str) -> str:
    """Return the path without the prefix, if it has it.

    >>> without("/cusp", "/cusp/runs"), without("/cusp", "/cusp"), without("/cusp", "/cuspid")
    ('/runs', '/', '/cuspid')
    """
    if prefix and (path == prefix or path.startswith(f"{prefix}/")):
        return path[len(prefix) :] or "/"
    return path
