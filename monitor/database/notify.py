"""PostgreSQL's LISTEN/NOTIFY: the payload is a run id, the data are read from the tables."""

from collections.abc import Iterator

import psycopg

CHANNEL = "cusp_runs"
Lost = psycopg.OperationalError
Connection = psycopg.Connection


def connect(url: str) -> Connection:
    """Return a dedicated autocommit connection; Lost when the server cannot be reached."""
    return psycopg.connect(
        url.replace("postgresql+psycopg://", "postgresql://", 1),
        autocommit=True,
        connect_timeout=5,
        keepalives_idle=10,
        keepalives_interval=5,
        keepalives_count=3,
    )


def process_of(connection: Connection) -> int:
    """Return the connection's server process id."""
    return connection.info.backend_pid


def listen(connection: Connection) -> None:
    """Subscribe to notifications of changed runs."""
    connection.execute(f"LISTEN {CHANNEL}")


def heard(connection: Connection, timeout_s: float) -> Iterator[tuple[str, int]]:
    """Yield (run id, sender's server process id) of notifications for `timeout_s` seconds."""
    for notice in connection.notifies(timeout=timeout_s):
        yield notice.payload, notice.pid


def tell(connection: Connection, run_ids: list[str]) -> None:
    """Notify every listener that these runs changed."""
    connection.execute(
        "SELECT pg_notify(%s, changed) FROM unnest(%s::text[]) AS changed", (CHANNEL, run_ids)
    )
