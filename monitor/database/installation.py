"""Identity of the database."""

from sqlalchemy import Connection, select

from monitor.database.schema import installation

_ID = select(installation.c.id)


def database_id(connection: Connection) -> str:
    """Return the id that the migration gave the database."""
    return str(connection.execute(_ID).scalar_one())
