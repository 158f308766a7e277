"""Revision 0004 with data: attempts keep the order that they had before, that of their ids."""

from alembic import command
from fastapi.testclient import TestClient

from monitor.app import create_app
from monitor.database.engine import alembic_config
from monitor.settings import MonitorConfig
from tests.messages import Trainer, point, status


def test_attempts_of_an_older_version_are_in_the_order_of_their_ids(database_url: str) -> None:
    app = create_app(MonitorConfig(database_url))
    api = TestClient(app, base_url="http://127.0.0.1:8787")
    first = Trainer(api)
    first.send(status("started"), *[point(n) for n in range(5)])
    second = Trainer(api, first.run_id)
    second.send(status("started"), *[point(n, reward=9.0) for n in range(3, 8)], status("failed"))
    before = second.get("/series")
    database = app.state.service.database
    with database.migrating() as tx:
        command.downgrade(alembic_config(tx), "0003")
    database.close()
    app = create_app(MonitorConfig(database_url))  # this upgrades it
    api = TestClient(app, base_url="http://127.0.0.1:8787")
    second.api = api
    found = second.get()
    assert second.get("/series") == before
    assert [one["id"] for one in found["attempts"]] == [first.attempt_id, second.attempt_id]
    assert (found["status"], found["still_training"]) == ("failed", [])
    third = Trainer(api, first.run_id)
    third.send(status("started"), point(6, reward=1.0))
    assert third.get()["attempts"][-1]["id"] == third.attempt_id
    app.state.service.database.close()
