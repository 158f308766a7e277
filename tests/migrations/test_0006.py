"""Revision 0006 with data: the runs that are there already are found by a search."""

from alembic import command
from fastapi.testclient import TestClient

from monitor.app import create_app
from monitor.database.engine import Database, alembic_config
from monitor.settings import MonitorConfig
from tests.messages import Trainer, point


def test_runs_of_an_older_database_are_found(database_url: str) -> None:
    app = create_app(MonitorConfig(database_url))
    with TestClient(app, base_url="http://127.0.0.1:8787") as api:
        trainer = Trainer(api, name="Übung", project="tina", tags=["LoRA", "größe"])
        trainer.send(point(1), {"kind": "point", "step": 2, "metrics": {"a": "b"}})
    database = Database(database_url)
    with database.migrating() as connection:
        command.downgrade(alembic_config(connection), "0003")
    database.close()
    again = create_app(MonitorConfig(database_url))
    with TestClient(again, base_url="http://127.0.0.1:8787") as api:
        for text in ("übung", "TINA lora", "GRÖSSE", trainer.run_id[:20]):
            found = api.get("/api/v1/runs", params={"q": text}).json()
            assert [run["id"] for run in found["runs"]] == [trainer.run_id], text
        run = api.get(f"/api/v1/runs/{trainer.run_id}").json()
        assert (run["left_out"]["metrics"], run["quarantined"]) == ([], 1)
