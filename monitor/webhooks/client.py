"""One POST to one of the addresses that were checked: no redirect, no proxy, no second look-up.

httpcore speaks HTTP over a connection that is made here, to an address and not to a name. It follows
nothing and reads nothing from the environment.
"""

import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass

import anyio
import httpcore

from cusp import tls
from monitor.errors import AddressRefused
from monitor.webhooks.ssrf import Network, Target, checked

DEADLINE_S = 10.0
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
    """Return the name's addresses, or raise AddressRefused; a look-up that hangs is left behind.

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
        within_s = until - time.monotonic()
        status = anyio.run(_status, target, headers, body, addresses, context, within_s)
    except AddressRefused as refused:
        return Outcome(None, str(refused))
    except TimeoutError:
        return Outcome(None, f"{target.authority} did not answer within {deadline_s:.0f} s")
    except httpcore.RemoteProtocolError as error:
        return Outcome(None, f"{target.authority} gave no answer in HTTP: {error}")
    except (httpcore.NetworkError, OSError) as error:  # ssl.SSLError is an OSError
        untrusted = tls.complaint(error, target.authority)
        return Outcome(None, untrusted or f"{target.authority} cannot be reached: {_reason(error)}")
    return Outcome(status, _complaint(target, status))


async def _status(
    target: Target,
    headers: Mapping[str, str],
    body: bytes,
    addresses: Sequence[str],
    context: ssl.SSLContext,
    within_s: float,
) -> int:
    """Return the answer's status, or raise TimeoutError at the deadline.

    One deadline for all of it: httpcore's own time limits are of each read and write. Of the answer
    only the head is read, of which httpcore takes no more than 100 KiB.
    """
    url = httpcore.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path)
    sent = [("Host", target.authority), *headers.items(), ("Connection", "close")]
    with anyio.fail_after(within_s):
        async with aclosing(await _connected(addresses, target.port)) as plain:
            secure = target.scheme == "https"
            stream = await plain.start_tls(context, target.host) if secure else plain
            connection = httpcore.AsyncHTTP11Connection(url.origin, stream)
            async with connection.stream("POST", url, headers=sent, content=body) as answer:
                return answer.status


async def _connected(addresses: Sequence[str], port: int) -> httpcore.AsyncNetworkStream:
    """Return a connection to the first address that takes one; ConnectError when none does."""
    network = httpcore.AnyIOBackend()
    for address in addresses[:-1]:
        with suppress(httpcore.ConnectError):
            return await network.connect_tcp(address, port)
    return await network.connect_tcp(addresses[-1], port)


def _reason(error: BaseException) -> str:
    """Return what the system says; the libraries wrap it, or leave it out."""
    while error.__cause__:
        error = error.__cause__
    if isinstance(error, OSError) and error.errno and not isinstance(error, ssl.SSLError):
        return os.strerror(error.errno)
    return str(error) or "the connection was lost"


def _complaint(target: Target, status: int) -> str | None:
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return (
            f"{target.authority} answered {status}, a redirect, which is not followed;"
            " add the webhook with its final URL"
        )
    return f"{target.authority} answered {status}"
