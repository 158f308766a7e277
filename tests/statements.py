"""The SQL statements that a request is answered with, counted in the monitor of a test."""

import threading
from collections.abc import Callable

from fastapi.testclient import TestClient
from sqlalchemy import event

from monitor.database.engine import Database


def statements_of(api: TestClient, ask: Callable[[], object]) -> list[str]:
    """Return the SQL that a request is answered with."""
    database: Database = api.app.state.service.database  # type: ignore[attr-defined]
    told: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        # The monitor's own threads look after the database meanwhile.
        here = threading.current_thread()
        if here is threading.main_thread() or "AnyIO" in here.name:
            told.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        ask()
    finally:
        event.remove(database.engine, "before_cursor_execute", note)
    return [one for one in told if not one.startswith(("BEGIN", "PRAGMA"))]
