"""The size of a request body, limited before anything parses it; gzip bodies unpacked within it."""

import zlib
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from monitor.api.problem_details import problem


class BodyLimitMiddleware:
    """ASGI middleware: answers 413 once a body, as sent or unpacked, exceeds `limit_bytes`."""

    def __init__(self, app: ASGIApp, limit_bytes: int) -> None:
        self._app = app
        self._limit = limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its whole body read and unpacked, or refuse it."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        packed = headers.get(b"content-encoding", b"").lower() == b"gzip"
        body, refusal = await self._read(receive, packed)
        if refusal is not None:
            await problem(*refusal)(scope, receive, send)
            return
        if packed:
            kept = [(k, v) for k, v in scope["headers"] if k != b"content-encoding"]
            kept = [(k, v) for k, v in kept if k != b"content-length"]
            scope = {**scope, "headers": [*kept, (b"content-length", str(len(body)).encode())]}
        await self._app(scope, _replay(body, receive), send)

    async def _read(
        self, receive: Receive, packed: bool
    ) -> tuple[bytes, tuple[int, str, str] | None]:
        unpack = zlib.decompressobj(zlib.MAX_WBITS | 16) if packed else None
        parts: list[bytes] = []
        size, more = 0, True
        while more:
            message = await receive()
            more = message.get("more_body", False)
            part = message.get("body", b"")
            if unpack is not None:
                try:
                    part = unpack.decompress(part, self._limit + 1 - size)
                except zlib.error:
                    return b"", (400, "Bad body", "the body is not gzip; send it plain or packed")
            size += len(part)
            if size > self._limit:
                detail = f"the body exceeds {self._limit} bytes; send smaller batches"
                return b"", (413, "Body too large", detail)
            parts.append(part)
        return b"".join(parts), None


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def once() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        message: dict[str, Any] = {"type": "http.request", "body": body, "more_body": False}
        return message

    return once
