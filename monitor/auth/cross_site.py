"""Whether a page of another site tries to act through the browser that is logged in here.

Browsers say so themselves in Sec-Fetch-Site, which no script can set; they send it to https and to this
machine. Elsewhere Origin tells, and from old browsers Referer. A request with none of them comes from a
program, which has no cookie that a page could abuse.
(The same rules, in this order, as Go's net/http.CrossOriginProtection.)
"""

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from monitor.settings import is_loopback

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_OWN_SITE = ("same-origin", "none")  # none: a person, not a page
_PORTS = {"http": 80, "https": 443}
_NETLOC = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:@/?#\\\s]+)(:[0-9]{1,5})?")


class _Origin(NamedTuple):
    scheme: str
    host: str
    port: int


def refusal(method: str, headers: Mapping[str, str], scheme: str, forwarded: str) -> str | None:
    """Return the sentence that refuses the request, or None for one that may go on.

    `forwarded` is the host that a trusted proxy was asked for, empty without one.
    """
    if method in SAFE_METHODS:
        return None
    given = headers.get("origin") or headers.get("referer") or ""
    site = headers.get("sec-fetch-site")
    origin = _origin_of(given)
    if given not in ("", "null") and origin is None:
        own = False  # nothing a browser sends for a page of ours
    elif site is not None:
        own = site in _OWN_SITE
    else:
        own = not given or _is_own(origin, (headers.get("host", ""), forwarded), scheme)
    if own:
        return None
    return f"a page of {given[:200] or 'another site'!r} may not act on this monitor"


def _is_own(origin: _Origin | None, hosts: tuple[str, ...], scheme: str) -> bool:
    """Return whether the origin is one of the hosts; a default port may be written or not."""
    if origin is None or (scheme == "https" and origin.scheme != "https"):
        return False
    named = (_of_host(host, origin.scheme) for host in hosts if host)
    return any(origin == one for one in named)


def _origin_of(url: str) -> _Origin | None:
    """Return scheme, host and port of an http address; None for anything else.

    >>> _origin_of("https://Monitor.example"), _origin_of("http://[")
    (_Origin(scheme='https', host='monitor.example', port=443), None)
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not host or not _NETLOC.fullmatch(parts.netloc):
        return None
    return _Origin(parts.scheme, host, _PORTS[parts.scheme] if port is None else port)


def _of_host(host: str, scheme: str = "http") -> _Origin | None:
    """Return what a Host header names, None if that is no host."""
    return _origin_of(f"{scheme}://{host}") if _NETLOC.fullmatch(host) else None


def is_readable_host(host: str) -> bool:
    """Return whether a Host header names a host, with a port or without; an old client sends none.

    >>> is_readable_host("m.example:8787"), is_readable_host("[::1"), is_readable_host("m:port")
    (True, False, False)
    """
    return not host or _of_host(host) is not None


def is_untrusted_host(host: str) -> bool:
    """Return whether a Host header names anything but this machine.

    A page whose own name was rebound to 127.0.0.1 sends that name; a monitor without a token would
    take it for its own page.

    >>> is_untrusted_host("127.0.0.1:8787"), is_untrusted_host("[::1]:8787"), is_untrusted_host("evil.example")
    (False, False, True)
    """
    named = _of_host(host)
    return named is None or not is_loopback(named.host)
