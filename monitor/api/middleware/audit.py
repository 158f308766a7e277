"""ASGI middleware: one audit row for every acting request, with its outcome, whoever asked.

The acts themselves write a row in their own transaction (what changed, why). This one is about the
request: who, what, when, from where, and with which status it ended, refused ones too; a new route is
covered without a word of its own.
"""

import logging
import re
from collections.abc import Callable

from anyio import to_thread
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from monitor.auth.rate_limit import Buckets
from monitor.database.engine import Database, Unavailable
from monitor.store.access import audit

SAFE = ("GET", "HEAD", "OPTIONS")
NOBODY = "nobody"
# What trainers and workers send all the time: data, no acts. 204: there was nothing to claim.
_DATA = re.compile(r"/api/v1/(runs|workers|runs/[^/]+/batches|jobs/[^/]+/(heartbeat|evaluations))$")
_NOTHING = 204
# Refusals cost the asker nothing, so they must not fill the disk.
REFUSED_PER_S, REFUSED_BURST = 1.0, 1_000.0
_log = logging.getLogger(__name__)


class AuditMiddleware:
    """Writes the rows once the answer is on its way. `clock` gives seconds since 1970."""

    def __init__(self, app: ASGIApp, database: Database, clock: Callable[[], float]) -> None:
        self._app = app
        self._database = database
        self._clock = clock
        self._refused = Buckets(REFUSED_PER_S, REFUSED_BURST)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and note how it ended."""
        if scope["type"] != "http" or scope["method"] in SAFE or _DATA.match(scope["path"]):
            await self._app(scope, receive, send)
            return
        status = 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            if status != _NOTHING and not (status >= 400 and self._refused.take("all")):
                await to_thread.run_sync(self._write, scope, status)

    def _write(self, scope: Scope, status: int) -> None:
        grant = scope.get("state", {}).get("grant")
        target = f"{scope['method']} {scope['path']}"[:200].replace("\0", "\ufffd")
        client = scope.get("client")
        audit.ADDRESS.set(client[0] if client else "")
        try:
            with self._database.write() as tx:
                audit.add(
                    tx,
                    None,
                    self._clock(),
                    actor=grant.name if grant else NOBODY,
                    action=audit.REQUEST,
                    target=target,
                    detail={"status": status},
                )
        except Unavailable as error:
            _log.warning("no audit row for %s, status %s: %s", target, status, error)
