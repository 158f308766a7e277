"""Parses Retry-After (RFC 9110, section 10.2.3), capped at 60 s."""

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

MOST_S = 60.0  # a wrong value, or one meant for browsers, must not silence a training for an hour
_SAID_WITH = (429, 503)


def asked_wait_s(status: int, headers: Mapping[str, str], *, now: float | None = None) -> float:
    """Return the seconds to wait, from 0 to `MOST_S`; 0.0 without a valid header.

    `now` is seconds since 1970, for a date in place of seconds.

    >>> asked_wait_s(429, {"retry-after": "7"}), asked_wait_s(503, {"retry-after": "86400"})
    (7.0, 60.0)
    >>> asked_wait_s(503, {"retry-after": "Thu, 01 Jan 1970 00:00:30 GMT"}, now=10.0)
    20.0
    >>> asked_wait_s(429, {"retry-after": "soon"}), asked_wait_s(500, {"retry-after": "7"})
    (0.0, 0.0)
    """
    said = headers.get("retry-after", "").strip() if status in _SAID_WITH else ""
    if said.isascii() and said.isdecimal():
        return min(MOST_S, float(said[:9]))
    try:
        until = parsedate_to_datetime(said).timestamp()
    except (ValueError, OverflowError, OSError):
        return 0.0
    return min(MOST_S, max(0.0, until - (time.time() if now is None else now)))
