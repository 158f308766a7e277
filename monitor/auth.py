"""Who may ask: one token, as a bearer header for programs and a cookie for the browser."""

import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import urlsplit

COOKIE = "cusp_session"
OPEN_PATHS = ("/healthz", "/readyz", "/login")
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


def allowed(
    token: str | None,
    method: str,
    path: str,
    headers: Mapping[str, str],
    cookies: Mapping[str, str],
) -> str | None:
    """Return None if the request may pass, else the sentence that refuses it.

    Without a token the monitor only listens on loopback; a page of another site must still not act
    through the browser, so a foreign Origin is refused in any case.
    """
    if method not in _SAFE_METHODS and _foreign(headers):
        return f"a page of {headers.get('origin')} may not act on this monitor"
    if token is None or path in OPEN_PATHS or path.startswith("/static/"):
        return None
    if matches(token, headers.get("authorization", "").removeprefix("Bearer ")):
        return None
    if hmac.compare_digest(session_of(token), cookies.get(COOKIE, "").encode("utf-8", "replace")):
        return None
    return "a token is needed: send `Authorization: Bearer TOKEN`, or log in at /login"


def matches(token: str, given: str) -> bool:
    """Return whether the given token is the right one, in constant time."""
    return hmac.compare_digest(token.encode(), given.strip().encode("utf-8", "replace"))


def session_of(token: str) -> bytes:
    """Return the cookie's value: derived from the token, which itself never leaves the log-in form."""
    return hmac.new(token.encode(), b"cusp session", hashlib.sha256).hexdigest().encode()


def _foreign(headers: Mapping[str, str]) -> bool:
    origin = headers.get("origin")
    if not origin:
        return False
    return urlsplit(origin).netloc != headers.get("host", "")
