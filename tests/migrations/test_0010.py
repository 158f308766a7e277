"""Revision 0010 rebuilds a table that others refer to: nothing is lost, nor half done after a kill -9."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import text

from monitor.database.engine import Database, DatabaseError, alembic_config
from tests.migrations.rich import fill, serving

KILLED = """
import os, signal, sys
from sqlalchemy import event
from monitor.database.engine import Database

database = Database(sys.argv[1])

@event.listens_for(database.engine, "before_cursor_execute")
def kill(connection, cursor, statement, *rest):
    if statement.startswith('ALTER TABLE _alembic_tmp_jobs RENAME TO'):  # jobs is dropped by now
        os.kill(os.getpid(), signal.SIGKILL)

database.upgrade()
"""
COUNTED = ("jobs", "evaluations", "evaluation_rows", "verifications", "checkpoints")


def counts(database: Database) -> dict[str, int]:
    with database.read() as tx:
        return {
            name: tx.execute(text(f"SELECT count(*) FROM {name}")).scalar_one() for name in COUNTED
        }


def downgrade(database: Database) -> None:
    with database.migrating() as tx:
        command.downgrade(alembic_config(tx), "0009")


def test_jobs_that_are_referred_to_go_down_and_up(database_url: str) -> None:
    trainer, _ = fill(database_url)
    database = Database(database_url)
    before = counts(database)
    assert all(before.values())
    downgrade(database)
    assert counts(database) == before
    database.upgrade()
    assert counts(database) == before
    database.close()
    with serving(database_url) as api:
        found = api.get(f"/api/v1/runs/{trainer.run_id}/evaluations").json()["evaluations"]
    assert [one["pass_at_1"] for one in found] == [0.5]


def test_a_kill_in_the_middle_leaves_the_tables_of_before(tmp_path: Path) -> None:
    url = str(tmp_path / "cusp.db")
    fill(url)
    database = Database(url)
    before = counts(database)
    downgrade(database)
    database.close()
    killed = subprocess.run([sys.executable, "-c", KILLED, url], check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    database = Database(url)
    assert counts(database) == before
    with database.read() as tx:
        assert tx.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == "0009"
        made = tx.execute(text("SELECT sql FROM sqlite_master WHERE name = 'jobs'")).scalar_one()
    assert "REFERENCES runs" in made
    database.upgrade()
    assert counts(database) == before
    database.close()


def test_a_migration_that_leaves_a_row_pointing_at_nothing_is_undone(tmp_path: Path) -> None:
    database = Database(str(tmp_path / "cusp.db"))
    fill(str(tmp_path / "cusp.db"))
    before = counts(database)
    refused = pytest.raises(DatabaseError, match=r"verifications .* of jobs .*nothing was changed")
    with refused, database.migrating() as tx:
        tx.execute(text("DELETE FROM jobs"))
    assert counts(database) == before
    with database.write() as tx:
        assert tx.execute(text("PRAGMA foreign_keys")).scalar_one() == 1
    database.close()
