"""Grants: the scopes of a token and the runs it is limited to."""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Literal, get_args

from cusp.ids import is_id
from monitor.auth.sessions import Session

Scope = Literal["ingest", "read", "control", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
LOGIN_PATH, LOGOUT_PATH = "/login", "/logout"
OPEN_PATHS = ("/healthz", "/readyz", LOGIN_PATH, LOGOUT_PATH)
PERSON = "person"
_PREFIX = "cusp_"


@dataclass(frozen=True)
class Grant:
    """What a request may do: its scopes, and the one project or run it is limited to, if any."""

    name: str
    scopes: frozenset[str]
    project: str | None = None
    run_id: str | None = None
    token_id: str | None = None  # None: CUSP_TOKEN, or nobody was asked
    session: Session | None = None  # None: asked with the token itself

    @property
    def limited(self) -> bool:
        """Return whether it reaches only some runs."""
        return self.project is not None or self.run_id is not None

    def has(self, scope: str) -> bool:
        """Return whether it covers the scope; `admin` could make itself any token, so it has all."""
        return scope in self.scopes or "admin" in self.scopes

    def reaches(self, run_id: str, project: str | None) -> bool:
        """Return whether it reaches this run of this project."""
        return self.run_id in (None, run_id) and self.project in (None, project)


EVERYTHING = Grant(PERSON, frozenset(SCOPES))


def new_secret() -> str:
    """Return 256 random bits as text."""
    return secrets.token_urlsafe(32)


def derive_secret(key: str, token_id: str, request: str) -> str:
    """Return 256 bits that only the holder of `key` can make, and make again, for this id and request.

    So a repeated request gets the same secret, and nothing but its hash has to be kept.
    """
    made = hmac.new(key.encode(), f"cusp token {token_id} {request}".encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(made.digest()).decode().rstrip("=")


def hash_of(secret: str) -> str:
    """Return what is kept of a secret; it is random and long, so a fast hash is enough."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def format_token(token_id: str, secret: str) -> str:
    """Return the token as its owner keeps it."""
    return f"{_PREFIX}{token_id}_{secret}"


def split(token: str) -> tuple[str, str] | None:
    """Return (id, secret) of a token made by `written`, or None.

    >>> split("cusp_01ARZ3NDEKTSV4RRFFQ69G5FAV_secret")
    ('01ARZ3NDEKTSV4RRFFQ69G5FAV', 'secret')
    >>> split("another") is None
    True
    """
    if not token.startswith(_PREFIX):
        return None
    token_id, _, secret = token.removeprefix(_PREFIX).partition("_")
    return (token_id, secret) if is_id(token_id) and secret else None


def matches(token: str, given: str) -> bool:
    """Return whether the given token is the right one, in constant time."""
    return hmac.compare_digest(token.encode(), given.strip().encode("utf-8", "replace"))


def is_open(path: str) -> bool:
    """Return whether anybody may ask for the path."""
    return path in OPEN_PATHS or path.startswith("/static/")
