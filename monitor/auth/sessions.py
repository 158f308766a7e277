"""The browser's session: a signed cookie that holds no token, ends by itself, and can be ended. Pure.

The key comes from CUSP_TOKEN and a secret of the database together: changing the token ends all
sessions, a session of one monitor is none of another's, and a signature tells nobody without the
database whether a guess at CUSP_TOKEN is right.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Sequence
from typing import NamedTuple

from itsdangerous import BadSignature, TimestampSigner

from cusp.ids import is_id

LIFE_S = 30 * 86_400
SKEW_S = 300.0  # between the clocks of monitors that share a database
MOST_TRIED = 4  # cookies of one name: an older path's comes with the newer one's


class Session(NamedTuple):
    """One log-in. `token_id` is empty for CUSP_TOKEN; `ends_at` is in seconds since 1970."""

    id: str
    token_id: str
    ends_at: float


class Sessions:
    """Makes and reads the cookies of one monitor, and of every other one on its database."""

    def __init__(self, token: str, secret: str, clock: Callable[[], float]) -> None:
        key = hmac.new(token.encode(), f"cusp sessions {secret}".encode(), hashlib.sha256).digest()
        self._clock = clock
        self._signer = _Signer(key, clock)
        # Browsers do not tell ports apart, so each monitor's cookie has a name of its own.
        self._name = "cusp_" + hmac.new(key, b"cookie name", hashlib.sha256).hexdigest()[:12]

    def cookie_name(self, *, secure: bool) -> str:
        """Return the cookie's name. Over https another one: a page over http could not replace that.

        `__Secure-` makes browsers refuse it from anything but https.
        """
        return f"__Secure-{self._name}" if secure else self._name

    def begin(self, token_id: str) -> str:
        """Return the cookie's value for a new session of the token (empty: CUSP_TOKEN)."""
        return self._signer.sign(f"{token_id}.{secrets.token_urlsafe(24)}").decode()

    def read(self, cookies: Sequence[str]) -> list[Session]:
        """Return the sessions whose cookies were made here and are not too old, in the order given."""
        found = (self._one(value) for value in cookies[:MOST_TRIED])
        return [session for session in found if session is not None]

    def _one(self, value: str) -> Session | None:
        try:
            signed, at = self._signer.unsign(value, return_timestamp=True)
        except BadSignature:
            return None
        token_id, _, session_id = signed.decode().partition(".")
        age_s = self._clock() - at.timestamp()
        if not -SKEW_S <= age_s < LIFE_S or not session_id or (token_id and not is_id(token_id)):
            return None
        return Session(session_id, token_id, at.timestamp() + LIFE_S)


class _Signer(TimestampSigner):
    """itsdangerous' signer with SHA-256 and the monitor's clock."""

    def __init__(self, key: bytes, clock: Callable[[], float]) -> None:
        super().__init__(key, salt=b"cusp session", digest_method=hashlib.sha256)
        self._now = clock

    def get_timestamp(self) -> int:
        """Return the seconds since 1970."""
        return int(self._now())


def cookies_named(header: str, name: str) -> list[str]:
    """Return the values of a Cookie header under a name, in its order: longer paths come first.

    >>> cookies_named("a=1; b=2; a=3", "a")
    ['1', '3']
    """
    pairs = (part.strip().partition("=") for part in header.split(";"))
    return [value for found, sign, value in pairs if sign and found == name]
