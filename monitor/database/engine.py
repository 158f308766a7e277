"""One database, SQLite or PostgreSQL, with short transactions.

SQLite loses most transactions that read first and write later under contention (measured: 75-90 %),
so writers begin with BEGIN IMMEDIATE, one at a time in this process.
"""

import threading
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import ArgumentError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import DatabaseError as DriverError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from cusp.errors import CuspError
from monitor.database import deadline

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"
# An open transaction, as every function of the store takes one.
Transaction = Connection
# What is raised when the database is away, busy for too long, or shuts down.
Unavailable = (OperationalError, PoolTimeout)
_TOUCHED = "touched runs"


class DatabaseError(CuspError, RuntimeError):
    """The database cannot be used; the message says why and what to do."""


class Database:
    """Gives `read()` and `write()` transactions on one database.

    `on_commit` is called after each commit with the ids of the runs that the transaction touched.
    """

    def __init__(
        self, url: str, on_commit: Callable[[Set[str]], None] = lambda run_ids: None
    ) -> None:
        self.url = normal_url(url)
        self.on_commit = on_commit
        self.is_sqlite = self.url.startswith("sqlite")
        try:
            self.engine = _sqlite(self.url) if self.is_sqlite else _postgresql(self.url)
        except (ArgumentError, ValueError) as error:
            raise DatabaseError(
                "the database URL cannot be read; use postgresql://user:password@host:5432/name, with"
                " %40 and the like for the characters of a password that mean something in a URL"
            ) from error
        self._writer: Any = threading.Lock() if self.is_sqlite else nullcontext()
        # On PostgreSQL a statement sees more than the one before unless it is told not to.
        level = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        self._reading = self.engine.execution_options(**level)
        self._writing = self.engine.execution_options(writes=True)
        self._looking = self.engine.execution_options(isolation_level="AUTOCOMMIT")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection that sees one state of the database."""
        with self._reading.begin() as connection:
            yield connection

    @contextmanager
    def look(self) -> Iterator[Connection]:
        """Give a connection for one reading statement; on PostgreSQL without the round trips of a transaction."""
        with self.read() if self.is_sqlite else self._looking.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a connection whose changes are committed at the end, or not at all."""
        with self._writer, self._writing.begin() as connection:
            touched: set[str] = set()
            connection.info[_TOUCHED] = touched
            yield connection
        if touched:
            self.on_commit(touched)

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        """Give a `write()` connection on which a table that others refer to can be rebuilt.

        SQLite rebuilds a table by dropping it, which foreign keys forbid even where they are deferred; and it
        switches them off between transactions only. So they are off here, and checked before the commit:
        DatabaseError, with nothing changed, when a row refers to one that is gone.
        """
        if not self.is_sqlite:
            with self.write() as connection:
                yield connection
            return
        with self._writer, self._writing.connect() as connection:
            driver: Any = connection.connection.dbapi_connection
            driver.execute("PRAGMA foreign_keys=OFF").close()
            try:
                with connection.begin():
                    before = driver.total_changes
                    yield connection
                    if driver.total_changes != before:  # else it would read all rows at every start
                        _check_foreign_keys(connection)
            finally:
                driver.execute("PRAGMA foreign_keys=ON").close()

    def check(self) -> None:
        """Raise DatabaseError when the database does not answer."""
        try:
            with self.read() as connection:
                connection.execute(text("SELECT 1"))
        except SQLAlchemyError as error:
            raise DatabaseError(f"the database does not answer: {_reason(error)}") from error

    def upgrade(self) -> None:
        """Bring the schema to this version; DatabaseError if the database is newer or unusable."""
        try:
            with self.migrating() as connection:
                config = alembic_config(connection)
                script = ScriptDirectory.from_config(config)
                current = MigrationContext.configure(connection).get_current_revision()
                known = {revision.revision for revision in script.walk_revisions()}
                if current is not None and current not in known:
                    raise DatabaseError(
                        f"the database is at revision {current}, which this version of Cusp does not"
                        " know; it was written by a newer one, so upgrade Cusp"
                    )
                command.upgrade(config, "head")
        except DriverError as error:
            raise DatabaseError(self._unusable(error)) from error

    def _unusable(self, error: DriverError) -> str:
        path = self.url.removeprefix("sqlite:///")
        if self.is_sqlite and "not a database" in _reason(error):
            return (
                f"{path} is no SQLite database; move it away, or choose another file with"
                " --database, --dir or CUSP_DATABASE_URL"
            )
        where = path if self.is_sqlite else "the database"
        return f"{where} cannot be opened: {_reason(error)}"

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def touch(tx: Transaction, run_id: str) -> None:
    """Have the run's viewers woken once the transaction is committed."""
    tx.info.setdefault(_TOUCHED, set()).add(run_id)


def untouch(tx: Transaction, run_id: str) -> None:
    """Undo `touch`: the viewers are told by whoever calls this."""
    tx.info.get(_TOUCHED, set()).discard(run_id)


def normal_url(url: str) -> str:
    """Return the URL with the driver Cusp uses.

    >>> normal_url("postgres://u@h/db"), normal_url("/data/cusp.db")
    ('postgresql+psycopg://u@h/db', 'sqlite:////data/cusp.db')
    """
    for prefix in ("postgresql+psycopg://", "postgresql://", "postgres://"):
        if url.startswith(prefix):
            return "postgresql+psycopg://" + url.removeprefix(prefix)
    if url.startswith("sqlite:"):
        return url
    if "://" in url:
        raise DatabaseError(
            f"the database URL begins with {url.split('://')[0]!r}; use postgresql://user@host/name"
            " or the path of an SQLite file"
        )
    return f"sqlite:///{url}"


def alembic_config(connection: Connection | None = None) -> Config:
    """Return the migrations' configuration, bound to an open connection if one is given."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def _sqlite(url: str) -> Engine:
    path = url.removeprefix("sqlite:///")
    if path and path != ":memory:":
        folder = Path(path).parent
        if Path(path).is_dir():
            raise DatabaseError(
                f"{path} is a folder; name a file in it with --database or CUSP_DATABASE_URL"
            )
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with Path(path).open("ab"):
                pass
        except OSError as error:
            raise DatabaseError(
                f"the data folder {folder} is not writable ({error.strerror});"
                " choose another with --dir or CUSP_DIR"
            ) from error
    # As many as threads ever ask at once: one beyond the pool would be opened, configured, and thrown
    # away each time, which was an eighth of the work with 50 runs and 100 viewers.
    engine = create_engine(
        url, pool_size=40, connect_args={"check_same_thread": False, "timeout": 10.0}
    )
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _configure_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # SQLAlchemy's "begin" event below says BEGIN itself
    for pragma in (
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "foreign_keys=ON",
        "cache_size=-65536",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _check_foreign_keys(connection: Connection) -> None:
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
    if broken is not None:
        raise DatabaseError(
            f"the migration would leave rows of {broken[0]} that refer to rows of {broken[2]} which are not"
            " there; nothing was changed, so go on with the version of before and report this"
        )


def _postgresql(url: str) -> Engine:
    engine = create_engine(
        url,
        pool_size=10,
        pool_use_lifo=True,  # the connection used last knows its statements, and need not be pinged
        max_overflow=20,
        pool_timeout=10,
        connect_args={
            "connect_timeout": 5,
            "options": "-c statement_timeout=30000",
            # A host that is gone without a word is noticed within some 15 s.
            "keepalives_idle": 5,
            "keepalives_interval": 3,
            "keepalives_count": 3,
            "tcp_user_timeout": 15_000,
        },
    )
    deadline.keep(engine)
    return engine


def _reason(error: SQLAlchemyError) -> str:
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]
