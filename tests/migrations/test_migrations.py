"""The migrations make exactly the tables the code has, up and down, with data, on both databases."""

import time

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Integer, inspect, text

from monitor.database.engine import Database, DatabaseError, alembic_config
from monitor.database.schema import metadata, runs
from tests.migrations.check import differences
from tests.migrations.rich import fill, serving


def test_the_migrations_make_the_tables_of_the_code(database_url: str) -> None:
    assert differences(database_url) == ""


def test_a_model_edit_without_a_migration_is_found(database_url: str) -> None:
    runs.append_column(Column("colour", Integer))
    try:
        assert "colour" in differences(database_url)
    finally:
        metadata.tables["runs"]._columns.remove(runs.c.colour)
    assert differences(database_url) == ""


def test_every_revision_goes_down_and_up_again_with_data(database_url: str) -> None:
    fill(database_url)
    database = Database(database_url)
    with database.migrating() as connection:
        revisions = list(ScriptDirectory.from_config(alembic_config()).walk_revisions())
        for revision in revisions:
            command.downgrade(alembic_config(connection), str(revision.down_revision or "base"))
        assert inspect(connection).get_table_names() == ["alembic_version"]
    database.upgrade()
    database.close()
    assert differences(database_url) == ""


def test_data_of_every_earlier_revision_survive_the_way_to_the_newest(database_url: str) -> None:
    trainer, before = fill(database_url)
    revisions = list(ScriptDirectory.from_config(alembic_config()).walk_revisions())
    for revision in revisions[1:]:
        database = Database(database_url)
        with database.migrating() as connection:
            command.downgrade(alembic_config(connection), revision.revision)
        database.close()
        with serving(database_url) as api:
            answer = api.get(f"/api/v1/runs/{trainer.run_id}/series")
            assert answer.json() == before


def test_upgrading_twice_changes_nothing(database_url: str) -> None:
    database = Database(database_url)
    database.upgrade()
    database.upgrade()
    database.close()


def test_a_database_newer_than_this_version_is_refused(database_url: str) -> None:
    database = Database(database_url)
    database.upgrade()
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseError, match=r"revision 9999.*upgrade Cusp"):
        database.upgrade()
    database.close()


def test_an_unreachable_database_is_named_at_once() -> None:
    started = time.monotonic()
    with pytest.raises(DatabaseError, match="cannot be opened"):
        Database("postgresql://nobody@127.0.0.1:1/none").upgrade()
    assert time.monotonic() - started < 15


def test_an_unknown_kind_of_database_is_refused_with_the_way_out() -> None:
    with pytest.raises(DatabaseError, match="'mysql'; use postgresql"):
        Database("mysql://localhost/x")


def test_an_unwritable_folder_is_named(tmp_path: object) -> None:
    with pytest.raises(DatabaseError, match=r"not writable .*choose another with --dir"):
        Database("/proc/cusp/cusp.db")
