"""Revision 0003 with data: what an older version cannot hold goes, everything else stays."""

from alembic import command
from fastapi.testclient import TestClient
from sqlalchemy import text

from monitor.app import create_app
from monitor.database.engine import alembic_config
from monitor.settings import MonitorConfig
from monitor.store import deletion
from tests.messages import Trainer, point, status


def test_down_and_up_keeps_runs_and_their_audit_and_drops_what_is_of_no_run(
    database_url: str,
) -> None:
    app = create_app(MonitorConfig(database_url))
    api = TestClient(app, base_url="http://127.0.0.1:8787")
    kept, deleted, purged = (Trainer(api, policy={"evaluate": "none"}) for _ in "123")
    for trainer in (kept, deleted, purged):
        trainer.send(point(1), status("finished"))
    api.post(f"/api/v1/runs/{kept.run_id}/restore")
    for trainer in (deleted, purged):
        assert api.delete(f"/api/v1/runs/{trainer.run_id}").status_code == 200
    assert api.post(f"/api/v1/runs/{purged.run_id}/purge").status_code == 202
    database = app.state.service.database
    with database.migrating() as tx:
        while deletion.remove_some(tx, purged.run_id, 1_000, 1.0):
            pass
        command.downgrade(alembic_config(tx), "0002")
        acts = tx.execute(text("SELECT run_id, action FROM audit")).all()
        assert [tuple(row) for row in acts] == [(deleted.run_id, "delete")]
    database.close()
    app = create_app(MonitorConfig(database_url))  # this upgrades it
    api = TestClient(app, base_url="http://127.0.0.1:8787")
    shown = {run["id"] for run in api.get("/api/v1/runs").json()["runs"]}
    assert shown == {kept.run_id, deleted.run_id}
    assert api.get("/api/v1/audit").json()["audit"][0]["action"] == "delete"
    app.state.service.database.close()
