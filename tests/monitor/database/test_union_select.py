"""Several SELECTs read by one statement: the same rows, types and order as each alone."""

from fastapi.testclient import TestClient

from monitor.database.engine import Database
from monitor.schemas.run_data import RunData
from monitor.store import runs
from tests.conftest import Clock
from tests.monitor.api.test_statements import rich_run


def test_rows_read_together_are_those_read_alone(api: TestClient, clock: Clock) -> None:
    trainer = rich_run(api, clock)
    database: Database = api.app.state.service.database  # type: ignore[attr-defined]
    with database.read() as tx:
        run = runs.get(tx, trainer.run_id)
        alone, together = RunData(tx, run), RunData(tx, run)
        together.read_told()
        for name in ("audit", "change_points", "commands", "decisions"):
            rows = [row._asdict() for row in getattr(alone, name)]
            assert len(rows) > 1, name
            assert [row._asdict() for row in vars(together)[name]] == rows, name
