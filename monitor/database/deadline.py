"""Client-side deadline for every transaction on PostgreSQL.

`statement_timeout` is enforced by the server, and TCP notices only a peer that is gone. A server that does
not answer (frozen, behind a dead proxy) would block a thread for ever, so the socket of a connection that is
checked out for too long is shut down, and the waiting thread gets an OperationalError.
"""

import contextlib
import math
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.exc import InvalidatePoolError

TRANSACTION_S = 60.0  # above statement_timeout, which normally ends a statement first
PING_S = 5.0
QUIET_S = 1.0  # a connection that was used a moment ago is not asked whether its server is there
_LEFT_AT = "left at"  # in a connection record's info: when the connection was returned
LOOK_EVERY_S = 0.25


class Deadlines:
    """Shuts down connections past their deadline, in one thread that lives while any is watched."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[int, tuple[float, Any]] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def watch(self, connection: Any, seconds: float) -> None:
        """Start or restart the connection's deadline."""
        with self._changed:
            self._until[id(connection)] = (self._clock() + seconds, connection)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="deadlines", daemon=True)
                self._thread.start()

    def release(self, connection: Any) -> None:
        """Cancel the connection's deadline."""
        with self._changed:
            self._until.pop(id(connection), None)

    def _run(self) -> None:
        with self._changed:
            while self._until:
                now = self._clock()
                for key, (until, connection) in list(self._until.items()):
                    if until < now:
                        del self._until[key]
                        _shut(connection)
                self._changed.wait(LOOK_EVERY_S)
            self._thread = None


def keep(engine: Engine, transaction_s: float = TRANSACTION_S, ping_s: float = PING_S) -> None:
    """Install deadlines of `transaction_s` s for every transaction, and of `ping_s` s for a check-out ping.

    The ping replaces a pooled connection whose server is gone, so the engine needs no `pool_pre_ping`,
    whose ping would have no deadline. It is a tenth of what a batch costs, so a busy connection is not pinged: a
    request whose server went away less than `QUIET_S` before is refused as one during which it goes away.
    """
    deadlines = Deadlines()

    def checkout(connection: Any, record: Any, _proxy: Any) -> None:
        if time.monotonic() - record.info.get(_LEFT_AT, -math.inf) < QUIET_S:
            deadlines.watch(connection, transaction_s)
            return
        deadlines.watch(connection, ping_s)
        try:
            _ping(connection)
        except connection.Error as error:
            deadlines.release(connection)
            raise InvalidatePoolError(str(error)) from error
        deadlines.watch(connection, transaction_s)

    def checkin(connection: Any, record: Any) -> None:
        record.info[_LEFT_AT] = time.monotonic()
        deadlines.release(connection)

    event.listen(engine, "checkout", checkout)
    event.listen(engine, "checkin", checkin)
    event.listen(engine, "close", lambda connection, _record: deadlines.release(connection))


def _ping(connection: Any) -> None:
    before, connection.autocommit = connection.autocommit, True
    try:
        connection.execute("")
    finally:
        if not connection.closed:
            connection.autocommit = before


def _shut(connection: Any) -> None:
    """Shut down the socket under a waiting thread; libpq still owns and closes it."""
    with contextlib.suppress(OSError, connection.Error):
        line = socket.socket(fileno=connection.fileno())
        try:
            line.shutdown(socket.SHUT_RDWR)
        finally:
            line.detach()
