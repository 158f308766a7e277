"""`cusp serve` and `cusp db upgrade`."""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from cusp import settings
from cusp.cli.support.output import console
from cusp.cli.support.requirements import need
from cusp.process import parent
from cusp.process.machine import absolute

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # listened on, but no address to go to
Dir = Annotated[
    Path | None,
    typer.Option("--dir", help="Data folder (CUSP_DIR)."),
]


def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on (CUSP_HOST, default 127.0.0.1).")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            help="Port; 0 takes any free one (CUSP_PORT, default 8787).", min=0, max=65535
        ),
    ] = None,
    directory: Dir = None,
    database: Annotated[
        str | None, typer.Option(help="postgresql://... or a path (CUSP_DATABASE_URL).")
    ] = None,
    root_path: Annotated[
        str | None,
        typer.Option(help="Path prefix behind a proxy, like /cusp (CUSP_ROOT_PATH)."),
    ] = None,
) -> None:
    """Run the monitor: dashboard, REST and ingest.

    Beyond loopback it needs CUSP_TOKEN. Example: cusp serve --port 8787
    """
    need("serve", "monitor")
    from monitor.server import bound
    from monitor.server import serve as serve_until_told
    from monitor.settings import from_environment

    parent.end_with_parent()
    environment = with_options(os.environ, directory, database, host, port, root_path)
    config = from_environment(environment)
    listener = bound(config.host, config.port)
    config = dataclasses.replace(config, port=listener.getsockname()[1])
    address = settings.public_url(environment) or listening_at(
        config.host, config.port, config.root_path
    )

    def ready() -> None:
        console().print(f"Cusp {_version()} at {address} (Ctrl-C ends it)")

    serve_until_told(config, listener, ready)


def listening_at(host: str, port: int, path: str = "") -> str:
    """Return the address to print, one that a browser can open whatever the monitor listens on.

    >>> listening_at("::1", 8787, "/cusp")
    'http://[::1]:8787/cusp'
    >>> listening_at("0.0.0.0", 8787)
    'http://127.0.0.1:8787 and every other address of this machine'
    """
    loopback = _EVERYWHERE.get(host)
    shown = loopback or host
    shown = f"[{shown}]" if ":" in shown else shown
    more = " and every other address of this machine" if loopback else ""
    return f"http://{shown}:{port}{path}{more}"


def db_upgrade(
    directory: Dir = None,
    database: Annotated[str | None, typer.Option(help="postgresql://... or a path.")] = None,
) -> None:
    """Bring the database to this version's schema.

    Example: cusp db upgrade --database postgresql://cusp@db/cusp
    """
    need("db upgrade", "monitor")
    from monitor.database.engine import Database
    from monitor.settings import database_url

    Database(database_url(with_options(os.environ, directory, database))).upgrade()
    console().print("the database is at the newest revision")


def with_options(
    environment: Mapping[str, str],
    directory: Path | None = None,
    database: str | None = None,
    host: str | None = None,
    port: int | None = None,
    root_path: str | None = None,
) -> dict[str, str]:
    """Return the environment with the options in place of their variables."""
    given = {
        "CUSP_DIR": None if directory is None else str(absolute(directory, "--dir")),
        "CUSP_DATABASE_URL": database,
        "CUSP_HOST": host,
        "CUSP_PORT": None if port is None else str(port),
        "CUSP_ROOT_PATH": root_path,
    }
    return {**environment, **{name: value for name, value in given.items() if value is not None}}


def _version() -> str:
    from cusp import __version__

    return __version__
