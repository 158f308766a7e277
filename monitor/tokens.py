"""Checks tokens against the table, with a cache so that a batch of points costs no look-up."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from monitor import auth
from monitor.auth import EVERYTHING, Grant
from monitor.store import tokens
from monitor.store.database import Database

REMEMBERED_S = 3.0  # a revoked token is refused everywhere at the latest after this
USED_EVERY_S = 60.0
MOST_REMEMBERED = 1_000


@dataclass(frozen=True)
class _Known:
    row: Any  # None: there is no such token, or it is revoked
    until: float


class Tokens:
    """Turns what a request carries into a Grant. `key` is CUSP_TOKEN, the token with every right."""

    def __init__(
        self,
        database: Database,
        key: str | None,
        clock: Callable[[], float],
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._key = key
        self._clock = clock
        self._ticks = ticks
        self._known: OrderedDict[str, _Known] = OrderedDict()

    @property
    def is_open(self) -> bool:
        """Whether everybody on this machine may do anything, as there is no CUSP_TOKEN."""
        return self._key is None

    def grant(self, bearer: str, cookie: str) -> Grant | None:
        """Return what a request with this token or this cookie may do, or None for nothing.

        Without CUSP_TOKEN the monitor listens on loopback only and everybody there may do anything,
        but a token made here keeps its limits and stays revoked.
        """
        if self._key is None:
            return self.of_bearer(bearer) if auth.split(bearer) else EVERYTHING
        return self.of_bearer(bearer) or self.of_cookie(cookie)

    def remembers(self, bearer: str, cookie: str) -> bool:
        """Return whether this was a good token lately, or needs no look-up. Reads no database."""
        parts = auth.split(bearer)
        token_id = parts[0] if parts else auth.session_id(cookie)
        known = self._known.get(token_id)
        return not token_id or (known is not None and known.row is not None)

    def of_bearer(self, given: str) -> Grant | None:
        """Return what the token allows, or None. May read the database."""
        if self._key is not None and auth.matches(self._key, given):
            return EVERYTHING
        parts = auth.split(given)
        if parts is None:
            return None
        row = self._row(parts[0])
        # Compared in any case, so that the time tells nothing about which ids exist.
        right = auth.matches(row.hash if row else "", auth.hashed(parts[1]))
        return _grant(row) if row is not None and right else None

    def of_cookie(self, cookie: str) -> Grant | None:
        """Return what the browser's session allows, or None. May read the database."""
        owner = auth.session_owner(self._key, cookie) if self._key is not None else None
        if owner is None:
            return None
        row = self._row(owner) if owner else None
        return EVERYTHING if owner == "" else _grant(row)

    def session_for(self, given: str) -> str | None:
        """Return the cookie that stands for a token, or None if it is no good."""
        if self._key is None or self.of_bearer(given) is None:
            return None
        parts = None if auth.matches(self._key, given) else auth.split(given)
        return auth.session_of(self._key, parts[0] if parts else "")

    def stands(self, grant: Grant) -> bool:
        """Return whether the grant's token has not been revoked since. May read the database."""
        return grant.token_id is None or self._row(grant.token_id) is not None

    def forget(self, token_id: str) -> None:
        """Look the token up again next time: it changed here."""
        self._known.pop(token_id, None)

    def _row(self, token_id: str) -> Any:
        known = self._known.get(token_id)
        if known is None or known.until < self._ticks():
            known = _Known(self._look_up(token_id), self._ticks() + REMEMBERED_S)
            self._known[token_id] = known
            while len(self._known) > MOST_REMEMBERED:
                self._known.popitem(last=False)
        return known.row

    def _look_up(self, token_id: str) -> Any:
        with self._database.read() as tx:
            row = tokens.get(tx, token_id)
        if row is None or row.revoked_at is not None:
            return None
        now = self._clock()
        if now - (row.last_used_at or 0.0) > USED_EVERY_S:
            with self._database.write() as tx:
                tokens.used(tx, token_id, now)
        return row


def _grant(row: Any) -> Grant | None:
    if row is None:
        return None
    return Grant(
        row.name,
        frozenset(row.scopes),
        project=row.project,
        run_id=row.run_id,
        token_id=row.id,
    )
