"""Running the monitor under uvicorn, and ending it at once when asked to."""

import errno
import gc
import importlib
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import uvicorn
from fastapi import FastAPI

from cusp.process import file_lock
from monitor.app import create_app
from monitor.database.engine import Database, normal_url
from monitor.services import Service
from monitor.settings import ConfigError, MonitorConfig

TAKE_OVER_S = 3.0  # a monitor that was told to end may take this long


class PortInUse(ConfigError):
    """Another process listens there."""


class Server(uvicorn.Server):
    """uvicorn waits for open streams when it is told to end; this ends them first.

    `ready` is called once requests are answered.
    """

    def __init__(self, config: uvicorn.Config, service: Service, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._service = service
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, then say so."""
        await super().startup(sockets)
        if self.started:
            self._ready()
            # The first transition needs it: a second of importing inside a transaction otherwise.
            threading.Thread(target=importlib.import_module, args=["ruptures"], daemon=True).start()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End the event streams, then the server."""
        self._service.hub.close()
        super().handle_exit(sig, frame)


def bound(host: str, port: int) -> socket.socket:
    """Return a socket that listens there, or raise PortInUse with the way out."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = _socket(family)
    except OSError as error:
        raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    try:
        listener.bind((host, port))
    except (OSError, UnicodeError) as error:
        listener.close()
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise PortInUse(
                f"port {port} on {host} is in use by another process;"
                " stop that one, or choose another with --port (0: any free one) or CUSP_PORT"
            ) from None
        raise ConfigError(
            f"cannot listen on {host}:{port}: {getattr(error, 'strerror', None) or error};"
            " choose others with --host and --port"
        ) from error
    return listener


def _socket(family: socket.AddressFamily) -> socket.socket:
    # asyncio turns Nagle's algorithm off only where the protocol is named; with it every answer, sent
    # as head and body, waits 40 ms for the other side's delayed acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return listener


class DatabaseInUse(ConfigError):
    """Another monitor has the SQLite file."""


def alone(database_url: str) -> None:
    """Make sure no other monitor uses the SQLite file, until this process ends.

    Two would each cache what the other changes. DatabaseInUse is raised, with the way out, when one
    still does after `TAKE_OVER_S`; the lock dies with its process.
    """
    url = normal_url(database_url)
    path = Path(url.removeprefix("sqlite:///"))
    if not url.startswith("sqlite:///"):
        return
    Database(url).close()  # makes the folder, or says why it cannot
    lock = path.with_name(f"{path.name}.lock")
    until = time.monotonic() + TAKE_OVER_S
    while file_lock.take(lock) is None:
        if time.monotonic() > until:
            raise DatabaseInUse(
                f"another monitor (process {file_lock.owner(lock)}) uses {path}, and SQLite serves one;"
                " stop that one, or give both a PostgreSQL with CUSP_DATABASE_URL"
            )
        time.sleep(0.1)


# Longer than any client keeps an idle connection (httpx: 5 s, nginx: 60 s). With uvicorn's own 5 s
# both ends may close in the same instant, and a request then meets a reset connection.
KEEP_ALIVE_S = 75


def served_by(app: FastAPI) -> uvicorn.Config:
    """Return how the app is served: quietly, without websockets, idle connections kept."""
    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="on",
        ws="none",
        proxy_headers=False,  # monitor/api/middleware/forwarded.py reads them
        timeout_keep_alive=KEEP_ALIVE_S,
    )


def serve(
    config: MonitorConfig, listener: socket.socket, ready: Callable[[], None] = lambda: None
) -> None:
    """Serve until SIGTERM or Ctrl-C; `ready` is called once the database is open and requests answered."""
    alone(config.database_url)
    app = create_app(config)
    server = Server(served_by(app), app.state.service, ready)
    # What is there by now stays; without this a long answer, which is many objects, has the garbage
    # collector look at all of it again and again.
    gc.collect()
    gc.freeze()
    server.run(sockets=[listener])
