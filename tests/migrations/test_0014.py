"""Revision 0014 leaves packed points in blocks alone: down, each is a row again, and up they are packed anew."""

from alembic import command
from sqlalchemy import text

from monitor.background.packing import Packing
from monitor.database.engine import Database, alembic_config
from tests.messages import Trainer, point, status
from tests.migrations.rich import serving

STEPS = 300


def counts(database: Database) -> list[int]:
    """Return how many rows and blocks there are."""
    with database.read() as tx:
        asked = (text(f"SELECT count(*) FROM {name}") for name in ("points", "blocks"))
        return [int(tx.execute(one).scalar_one()) for one in asked]


def test_packed_points_are_rows_again_and_packed_anew(database_url: str) -> None:
    with serving(database_url) as api:
        trainer = Trainer(api)
        trainer.send(*[point(step, a=step / 8, b=step / 7) for step in range(STEPS)])
        uneven = [point(step, c=1.5) for step in (3, 4, 9)]
        trainer.send(*uneven, status("finished"))
        before = trainer.get("/series")
    database = Database(database_url)
    Packing(database).turn()
    assert counts(database) == [0, 2 * 2 + 1]
    with database.write() as tx:  # late: newer than its block
        tx.execute(
            text(
                "INSERT INTO points SELECT series_id, 3, attempt_key, -1.0 FROM blocks WHERE size = 3"
            )
        )
    with database.migrating() as tx:
        command.downgrade(alembic_config(tx), "0013")
        late = tx.execute(text("SELECT value FROM points WHERE value < 0")).scalars().all()
        tx.execute(text("UPDATE points SET value = 1.5 WHERE value < 0"))
    assert late == [-1.0]
    assert counts(database) == [2 * STEPS + 3, 0]
    database.upgrade()
    Packing(database).turn()
    assert counts(database) == [0, 2 * 2 + 1]
    database.close()
    with serving(database_url) as api:
        assert api.get(f"/api/v1/runs/{trainer.run_id}/series").json() == before
