"""Checks of the way to the monitor: does it answer, does it take the token, its clock, its port."""

import socket
import time
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx

from cusp import tls
from cusp.connection import connect
from cusp.errors import CuspError
from cusp.settings import Settings
from trainer.doctor.check import Check, failure, ok, warning

CLOCK_S = 10.0
"""A difference from which times on the page mislead; `Date` is to the second, and an answer takes time."""


def monitor(place: Settings, *, timeout_s: float = 5.0) -> list[Check]:
    """Return whether the monitor answers and takes the token, its clock's difference, and the port."""
    try:
        with connect(place.url, place.token, timeout=timeout_s) as http:
            ready = http.get(f"{place.url}/readyz")
            asked = http.get("/runs", params={"limit": 1})
    except (httpx.HTTPError, CuspError) as error:
        words = tls.complaint(error, place.url) if isinstance(error, httpx.HTTPError) else None
        return [
            failure(
                "monitor",
                words or f"no monitor answers at {place.url} ({error})",
                "start one with `cusp serve`, or set CUSP_URL",
            ),
            port(place.url),
        ]
    return [_answered(place, ready, asked), clock(asked.headers.get("date"), time.time())]


def _answered(place: Settings, ready: httpx.Response, asked: httpx.Response) -> Check:
    if asked.status_code in (401, 403):
        given = "refuses this token" if place.token else "asks for a token"
        return failure(
            "monitor", f"the monitor at {place.url} {given}", "set CUSP_TOKEN to one it knows"
        )
    if not ready.is_success or not asked.is_success:
        return failure(
            "monitor",
            f"what answers at {place.url} is not ready, or no monitor ({asked.status_code})",
            "look at its log; set CUSP_URL to the monitor's address alone",
        )
    return ok(
        "monitor",
        f"the monitor at {place.url} answers{' and takes the token' if place.token else ''}",
    )


def clock(date: str | None, now: float) -> Check:
    """Return how far this machine's clock is from the monitor's; `date` is its answer's header.

    >>> clock("Thu, 01 Jan 1970 00:01:00 GMT", 0.0).words
    "this clock is 60 s behind the monitor's"
    """
    try:
        ahead = now - parsedate_to_datetime(date or "").timestamp()
    except ValueError:
        return warning("clock", "the monitor tells no time", "compare the clocks by hand")
    if abs(ahead) < CLOCK_S:
        return ok("clock", f"this clock is within {CLOCK_S:.0f} s of the monitor's")
    way = "behind" if ahead < 0 else "ahead of"
    return warning(
        "clock", f"this clock is {abs(ahead):.0f} s {way} the monitor's", "run an NTP client"
    )


def port(url: str) -> Check:
    """Return whether the port where no monitor answers is free for one; only on this machine."""
    parts = urlsplit(url)
    number = parts.port or (443 if parts.scheme == "https" else 80)
    if parts.hostname not in ("127.0.0.1", "localhost", "::1"):
        return ok("port", f"port {number} is another machine's")
    with socket.socket(socket.AF_INET6 if parts.hostname == "::1" else socket.AF_INET) as tried:
        try:
            tried.bind((parts.hostname, number))
        except OSError as error:
            return failure(
                "port",
                f"port {number} is taken by another program ({error.strerror})",
                "end that, or give the monitor another one: cusp serve --port",
            )
    return ok("port", f"port {number} is free for a monitor")
