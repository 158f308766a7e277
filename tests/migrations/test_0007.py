"""Revision 0007 with data: sentences that said more than was known are made anew, others stay."""

from alembic import command
from alembic.script import ScriptDirectory
from fastapi.testclient import TestClient
from sqlalchemy import text

from monitor.app import create_app
from monitor.database.engine import Database, alembic_config
from monitor.database.installation import database_id
from monitor.settings import MonitorConfig
from tests.messages import Trainer, point


def before() -> str:
    revision = ScriptDirectory.from_config(alembic_config()).get_revision("0007")
    assert isinstance(revision.down_revision, str)
    return revision.down_revision


def test_old_assurances_are_taken_back(database_url: str) -> None:
    app = create_app(MonitorConfig(database_url))
    api = TestClient(app, base_url="http://127.0.0.1:8787")
    trainers = [Trainer(api) for _ in range(2)]
    for trainer in trainers:
        trainer.send(*(point(step, completion_length=60.0) for step in range(1, 31)))
    kept = trainers[1].get()["words"]
    database = app.state.service.database
    with database.migrating() as tx:
        command.downgrade(alembic_config(tx), before())
        old = '"words": "The run is steady. Evidence for a transition 0 of 36."'
        for (verdict,) in tx.execute(
            text("SELECT CAST(verdict AS TEXT) FROM runs WHERE id = :id"),
            {"id": trainers[0].run_id},
        ).all():
            changed = verdict.replace(f'"words": "{kept}"', old)
            assert changed != verdict
            cast = ":verdict" if database.is_sqlite else "CAST(:verdict AS JSON)"
            tx.execute(
                text(f"UPDATE runs SET verdict = {cast} WHERE id = :id"),
                {"verdict": changed, "id": trainers[0].run_id},
            )
    database.close()
    again = Database(database_url)
    again.upgrade()
    with again.read() as tx:
        assert len(database_id(tx)) == 26
    again.close()
    app = create_app(MonitorConfig(database_url))
    api = TestClient(app, base_url="http://127.0.0.1:8787")
    said = {run["id"]: run["words"] for run in api.get("/api/v1/runs").json()["runs"]}
    assert said[trainers[0].run_id] == (
        "By step 30 no transition is seen: evidence 0, confirmed at 36."
    )
    assert said[trainers[1].run_id] == kept
    app.state.service.database.close()
