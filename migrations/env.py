"""Alembic's entry: runs the migrations on the connection it is given, or on CUSP_DATABASE_URL."""

from typing import Any

from alembic import context
from sqlalchemy import Connection

from monitor.database.engine import Database
from monitor.database.schema import metadata
from monitor.settings import from_environment


def run(connection: Connection) -> None:
    """Run the migrations in the connection's transaction (SQLite: tables are rebuilt in batches)."""
    options: dict[str, Any] = {"compare_type": True, "compare_server_default": True}
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        **options,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with Database(from_environment().database_url).migrating() as own:
        run(own)
