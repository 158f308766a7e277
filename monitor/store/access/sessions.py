"""Browser sessions: the signing secret, and the sessions that were logged out."""

from sqlalchemy import Connection, delete, select

from monitor.database.schema import ended_sessions, session_key
from monitor.database.upsert import insert_or_ignore

_ONLY = 1


def secret(connection: Connection) -> str | None:
    """Return the database's secret, or None before there is one."""
    return connection.execute(select(session_key.c.secret)).scalar_one_or_none()


def made_secret(connection: Connection, proposed: str) -> str:
    """Return the database's secret; the first one proposed, by whichever monitor, stays."""
    insert_or_ignore(connection, session_key, [{"id": _ONLY, "secret": proposed}])
    return str(connection.execute(select(session_key.c.secret)).scalar_one())


def end(connection: Connection, session_id: str, ends_at: float, now: float) -> None:
    """Refuse the session from now on, and forget those that have run out by themselves."""
    connection.execute(delete(ended_sessions).where(ended_sessions.c.ends_at < now))
    insert_or_ignore(connection, ended_sessions, [{"id": session_id, "ends_at": ends_at}])


def has_ended(connection: Connection, session_id: str) -> bool:
    """Return whether the session was ended."""
    found = select(ended_sessions.c.id).where(ended_sessions.c.id == session_id)
    return connection.execute(found).first() is not None
