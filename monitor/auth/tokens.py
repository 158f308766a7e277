"""Checks tokens and sessions against the tables, with a cache so that a batch of points costs no look-up."""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from monitor.auth import grants
from monitor.auth.grants import EVERYTHING, Grant
from monitor.auth.sessions import Session, Sessions
from monitor.database.engine import Database
from monitor.store.access import sessions, tokens

REMEMBERED_S = 3.0  # a revoked token is refused everywhere at the latest after this
USED_EVERY_S = 60.0
MOST_REMEMBERED = 1_000
_SESSION = "session "  # before a session's id among what is remembered


@dataclass(frozen=True)
class _Known:
    row: Any  # None: there is no such token, or it is revoked; of a session whether it was ended
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

    @cached_property
    def sessions(self) -> Sessions | None:
        """What makes and reads the cookies; None where nobody has to log in. Reads the database once."""
        if self._key is None:
            return None
        with self._database.read() as tx:
            secret = sessions.secret(tx)
        if secret is None:
            with self._database.write() as tx:
                secret = sessions.made_secret(tx, grants.new_secret())
        return Sessions(self._key, secret, lambda: self._clock())

    def grant(self, bearer: str, found: Sequence[Session]) -> Grant | None:
        """Return what a request with this token or one of these sessions may do, or None for nothing.

        Without CUSP_TOKEN the monitor listens on loopback only and everybody there may do anything,
        but a token made here keeps its limits and stays revoked.
        """
        if self._key is None:
            return self.of_bearer(bearer) if grants.split(bearer) else EVERYTHING
        grant = self.of_bearer(bearer)
        return grant or next(filter(None, map(self.of_session, found)), None)

    def is_cached(self, bearer: str, found: Sequence[Session]) -> bool:
        """Return whether this was a good token lately, or needs no look-up. Reads no database."""
        parts = grants.split(bearer)
        if parts is None or found:  # a session was signed here: no stranger's
            return True
        known = self._known.get(parts[0])
        return known is not None and known.row is not None

    def of_bearer(self, given: str) -> Grant | None:
        """Return what the token allows, or None. May read the database."""
        if self._key is not None and grants.matches(self._key, given):
            return EVERYTHING
        parts = grants.split(given)
        if parts is None:
            return None
        row = self._row(parts[0])
        # Compared in any case, so that the time tells nothing about which ids exist.
        right = grants.matches(row.hash if row else "", grants.hash_of(parts[1]))
        return _grant(row) if row is not None and right else None

    def of_session(self, session: Session) -> Grant | None:
        """Return what the browser's session allows, or None. May read the database."""
        if self._has_ended(session.id):
            return None
        row = self._row(session.token_id) if session.token_id else None
        found = _grant(row) if session.token_id else EVERYTHING
        return replace(found, session=session) if found else None

    def session_for(self, given: str) -> str | None:
        """Return the cookie that stands for a token, or None if it is no good."""
        if self._key is None or self.sessions is None or self.of_bearer(given) is None:
            return None
        parts = None if grants.matches(self._key, given) else grants.split(given)
        return self.sessions.begin(parts[0] if parts else "")

    def end(self, session: Session) -> None:
        """End the session: refused here from now on, and everywhere after `REMEMBERED_S`."""
        with self._database.write() as tx:
            sessions.end(tx, session.id, session.ends_at, self._clock())
        self.forget(_SESSION + session.id)

    def is_valid(self, grant: Grant) -> bool:
        """Return whether the grant still holds: no token revoked, no session ended since.

        May read the database.
        """
        session = grant.session
        if session and (session.ends_at <= self._clock() or self._has_ended(session.id)):
            return False
        return grant.token_id is None or self._row(grant.token_id) is not None

    def forget(self, known: str) -> None:
        """Look the token or session up again next time: it changed here."""
        self._known.pop(known, None)

    def _row(self, token_id: str) -> Any:
        return self._remembered(token_id, lambda: self._look_up(token_id))

    def _has_ended(self, session_id: str) -> bool:
        def look_up() -> bool:
            with self._database.read() as tx:
                return sessions.has_ended(tx, session_id)

        return bool(self._remembered(_SESSION + session_id, look_up))

    def _remembered(self, key: str, look_up: Callable[[], Any]) -> Any:
        known = self._known.get(key)
        if known is None or known.until < self._ticks():
            known = _Known(look_up(), self._ticks() + REMEMBERED_S)
            self._known[key] = known
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
