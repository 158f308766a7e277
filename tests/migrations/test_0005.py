"""Revision 0005 with data: checkpoints and aliases stay, down and up."""

from alembic import command
from fastapi.testclient import TestClient
from sqlalchemy import text

from cusp.ids import new_id
from monitor.app import create_app
from monitor.database.engine import alembic_config
from monitor.settings import MonitorConfig
from tests.messages import Trainer, checkpoint, point


def test_down_and_up_keeps_checkpoints_which_are_then_not_verified(database_url: str) -> None:
    app = create_app(MonitorConfig(database_url))
    api = TestClient(app, base_url="http://127.0.0.1:8787")
    trainer, one = Trainer(api), new_id()
    trainer.send(point(10), checkpoint(10, one))
    assert api.post(f"/api/v1/checkpoints/{one}/promote", json={}).json()["verified"]
    database = app.state.service.database
    with database.migrating() as tx:
        command.downgrade(alembic_config(tx), "0003")
        assert tx.execute(text("SELECT id FROM checkpoints")).scalar_one() == one
    database.close()
    app = create_app(MonitorConfig(database_url))  # this upgrades it
    trainer.api = TestClient(app, base_url="http://127.0.0.1:8787")
    (found,) = trainer.get("/checkpoints")["checkpoints"]
    assert (found["aliases"], found["state"]) == (["production"], "present")
    assert (found["checked_at"], found["verified"]) == (None, False)
    app.state.service.database.close()
