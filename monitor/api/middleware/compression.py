"""ASGI middleware: gzip for answers that are read, in whole, and are worth it.

Only answers to GET, and of streams only a page that comes in pieces, each flushed: events would wait in the
compressor. Never an answer that
makes a secret (those are POSTs), and none that a page of another site asked for: who can choose part of
a compressed answer and measure its length could guess the rest (BREACH). Such a page gets no cookie
either (SameSite=Strict), so there would be nothing but the log-in to measure.
"""

import gzip
import zlib
from typing import Any

from anyio import to_thread
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LEAST_BYTES = 1_000  # below this the head weighs more than what is saved
BESIDE_BYTES = 64 << 10  # from here on in a thread, so that others are answered meanwhile
LEVEL = 4  # of a run's page and of series nearly what 9 saves, in a third of the time
_GZIP = 31  # zlib's `wbits` for a gzip stream
_TYPES = ("text/", "application/json", "image/svg+xml")


class CompressionMiddleware:
    """Packs what the asker can unpack."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and its answer packed where that is right."""
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        wanted = _is_wanted(scope)
        head: Message | None = None
        packer: Any = None

        async def packing(message: Message) -> None:
            nonlocal head, packer
            if message["type"] == "http.response.start" and _is_packable(message) and wanted:
                head = message
                return
            if head is not None and message.get("more_body") and _is_page(head):
                packer = zlib.compressobj(LEVEL, wbits=_GZIP)
                MutableHeaders(scope=head)["Content-Encoding"] = "gzip"
            if packer is not None:
                message = await _packed_piece(packer, message)
            if head is not None:
                if (
                    packer is None
                    and not message.get("more_body")
                    and len(message.get("body", b"")) >= LEAST_BYTES
                ):
                    message = await _packed(head, message)
                await send(head)
                head = None
            await send(message)

        await self._app(scope, receive, packing)


def _is_wanted(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    own = headers.get("sec-fetch-site") in (None, "same-origin", "none")
    return own and takes_gzip(headers.get("accept-encoding", ""))


def takes_gzip(accepted: str) -> bool:
    """Return whether an Accept-Encoding header asks for gzip.

    >>> takes_gzip("br, gzip;q=0.5"), takes_gzip("gzip;q=0"), takes_gzip("*"), takes_gzip("")
    (True, False, False, False)
    """
    for part in accepted.lower().split(","):
        name, _, weight = part.strip().partition(";")
        if name.strip() == "gzip":
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _is_packable(start: Message) -> bool:
    """Return whether the answer is text of ours; says to caches that it comes in two forms."""
    headers = MutableHeaders(scope=start)
    kind = headers.get("content-type", "")
    if start["status"] != 200 or "content-encoding" in headers or not kind.startswith(_TYPES):
        return False
    if kind.startswith("text/event-stream"):
        return False
    headers.add_vary_header("Accept-Encoding")
    return True


def _is_page(start: Message) -> bool:
    return Headers(scope=start).get("content-type", "").startswith("text/html")


async def _packed_piece(packer: Any, piece: Message) -> Message:
    """Return a piece of a page packed, so that it can be read before the next one comes."""
    plain, ends = piece.get("body", b""), not piece.get("more_body")

    def pack() -> bytes:
        flush = zlib.Z_FINISH if ends else zlib.Z_SYNC_FLUSH
        packed: bytes = packer.compress(plain) + packer.flush(flush)
        return packed

    packed = pack() if len(plain) < BESIDE_BYTES else await to_thread.run_sync(pack)
    return {**piece, "body": packed}


async def _packed(start: Message, body: Message) -> Message:
    plain = body["body"]
    if len(plain) < BESIDE_BYTES:
        packed = gzip.compress(plain, LEVEL, mtime=0)
    else:
        packed = await to_thread.run_sync(lambda: gzip.compress(plain, LEVEL, mtime=0))
    headers = MutableHeaders(scope=start)
    headers["Content-Encoding"] = "gzip"
    headers["Content-Length"] = str(len(packed))
    if tag := headers.get("etag"):  # the bytes differ, the content does not
        headers["ETag"] = f"W/{tag.removeprefix('W/')}"
    return {**body, "body": packed}
