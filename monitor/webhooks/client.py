"""One POST to one of the addresses that were checked: no redirect, no proxy, no second look-up.

An HTTP library would resolve the name again, follow redirects and read as much as it is sent. This
reads the line with the status and lets the rest go, all within one deadline.
"""

import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cusp import tls
from monitor.errors import AddressRefused
from monitor.webhooks.ssrf import Network, Target, checked

DEADLINE_S = 10.0
MOST_HEAD_BYTES = 4_096
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})[ \r]")
Resolve = Callable[[str, int], Sequence[str]]


@dataclass(frozen=True)
class Outcome:
    """What came of a POST: the status, and if that is no success, a sentence."""

    status: int | None
    error: str | None

    @property
    def is_success(self) -> bool:
        """Whether the receiver took it."""
        return self.error is None


def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a name, each once, in the system's order; OSError when there is none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def resolved(target: Target, look_up: Resolve, deadline_s: float) -> list[str]:
    """Return the name's addresses, or raise Refused; a look-up that hangs is left behind.

    getaddrinfo knows no deadline, so it runs beside; the resolver's own limits end that thread.
    """
    answer: list[Sequence[str]] = []
    problem: list[str] = []

    def ask() -> None:
        try:
            answer.append(look_up(target.host, target.port))
        except (OSError, UnicodeError) as error:
            problem.append(str(error))

    thread = threading.Thread(target=ask, name="cusp-webhook-name", daemon=True)
    thread.start()
    thread.join(deadline_s)
    if answer:
        return list(answer[0])
    why = problem[0] if problem else f"no answer within {deadline_s:.0f} s"
    raise AddressRefused(f"the name {target.host!r} cannot be resolved: {why}")


def post(
    target: Target,
    headers: Mapping[str, str],
    body: bytes,
    *,
    allowed: Sequence[Network],
    context: ssl.SSLContext,
    look_up: Resolve = resolve,
    deadline_s: float = DEADLINE_S,
) -> Outcome:
    """Send the body and return what came of it; never raises for what the other side does."""
    until = time.monotonic() + deadline_s
    try:
        addresses = checked(target, resolved(target, look_up, deadline_s), allowed)
        with _connected(target, addresses, context, until) as connection:
            connection.sendall(_request(target, headers, body))
            status = _status(connection, until)
    except AddressRefused as refused:
        return Outcome(None, str(refused))
    except TimeoutError:
        return Outcome(None, f"{target.authority} did not answer within {deadline_s:.0f} s")
    except OSError as error:  # ssl.SSLError is one, too
        untrusted = tls.complaint(error, target.authority)
        return Outcome(None, untrusted or f"{target.authority} cannot be reached: {error}")
    return Outcome(status, _complaint(target, status))


def _connected(
    target: Target, addresses: Sequence[str], context: ssl.SSLContext, until: float
) -> socket.socket:
    """Return a connection to the first address that takes one. The addresses are used as they are."""
    for position, address in enumerate(addresses, 1):
        try:
            plain = socket.create_connection((address, target.port), timeout=_left_s(until))
        except TimeoutError:
            raise
        except OSError:
            if position == len(addresses):
                raise
            continue
        break
    if target.scheme == "http":
        return plain
    try:
        plain.settimeout(_left_s(until))
        return context.wrap_socket(plain, server_hostname=target.host)
    except OSError:
        plain.close()
        raise


def _request(target: Target, headers: Mapping[str, str], body: bytes) -> bytes:
    given = {"Host": target.authority, **headers, "Content-Length": str(len(body))}
    lines = [f"POST {target.path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("ascii") + body


def _status(connection: socket.socket, until: float) -> int:
    """Return the answer's status. Reads no further than its head, the deadline or the limit."""
    read = b""
    while b"\n" not in read and len(read) < MOST_HEAD_BYTES:
        connection.settimeout(_left_s(until))
        part = connection.recv(1_024)
        if not part:
            break
        read += part
    found = _STATUS.match(read)
    if found is None:
        raise OSError(f"the answer is no HTTP: {read[:40]!r}")
    return int(found[1])


def _complaint(target: Target, status: int) -> str | None:
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return (
            f"{target.authority} answered {status}, a redirect, which is not followed;"
            " add the webhook with its final URL"
        )
    return f"{target.authority} answered {status}"


def _left_s(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
