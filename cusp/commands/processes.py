"""Commands that run something: the monitor, a training, a worker, the migrations."""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from cusp import orphans, settings
from cusp.attempt import Attempt, load_leftover
from cusp.commands.extras import need
from cusp.commands.output import AsJson, console, print_json
from cusp.place import absolute
from cusp.sender import TIMEOUT_S, Sender

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
    from monitor.config import from_environment
    from monitor.serve import bound
    from monitor.serve import serve as serve_until_told

    orphans.end_with_parent()
    environment = _over(os.environ, directory, database, host, port, root_path)
    config = from_environment(environment)
    listener = bound(config.host, config.port)
    config = dataclasses.replace(config, port=listener.getsockname()[1])
    shown = f"[{config.host}]" if ":" in config.host else config.host
    here = f"http://{shown}:{config.port}{config.root_path}"
    address = settings.public_url(environment) or here

    def ready() -> None:
        console().print(f"Cusp {_version()} at {address} (Ctrl-C ends it)")

    serve_until_told(config, listener, ready)


def train(
    recipe: Annotated[
        str | None, typer.Argument(help="A shipped recipe's name or a YAML file.")
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Recipe values to change.")
    ] = None,
    run_id: Annotated[str | None, typer.Option(help="Record under this run id.")] = None,
    resume: Annotated[bool, typer.Option(help="Go on from the latest checkpoint.")] = False,
    start_from: Annotated[
        str | None,
        typer.Option("--from", metavar="CHECKPOINT", help="With --resume: go on from this one."),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(min=1, help="Processes that share the batch; default: one a visible GPU."),
    ] = None,
) -> None:
    """Train a recipe here with TRL GRPO-LoRA, streamed to the monitor.

    Examples: cusp train tiny seed=3 grpo.max_steps=60; cusp train --resume --run-id 01J...
    """
    need("train", "trainer")
    from trainer import launch
    from trainer.train import check
    from trainer.train import main as train_main

    arguments = [recipe, *(overrides or [])] if recipe else []
    arguments += ["--run-id", run_id] if run_id else []
    arguments += ["--resume"] if resume else []
    arguments += ["--from", start_from] if start_from else []
    if launch.launched_already():
        raise typer.Exit(train_main(arguments))
    gpus = launch.visible_gpus()
    chosen = check(arguments, processes, gpus)
    if chosen == 1 and gpus <= 1:
        raise typer.Exit(train_main(arguments))
    console().print(launch.said(chosen, gpus))
    raise typer.Exit(launch.run(arguments, chosen, gpus))


def worker(
    directory: Dir = None,
    once: Annotated[bool, typer.Option(help="End after one job.")] = False,
) -> None:
    """Run jobs of the monitor on this box, one after another: evaluations, trainings to resume.

    Example: CUSP_URL=http://monitor:8787 cusp worker
    """
    need("worker", "trainer")
    from trainer.worker import main as worker_main

    os.environ.update(_over({}, directory))
    raise typer.Exit(worker_main(["--once"] if once else []))


def sync(as_json: AsJson = False) -> None:
    """Ship what trainings left on disk while no monitor was up.

    Example: CUSP_URL=http://monitor:8787 cusp sync
    """
    config = settings.from_environment()
    sent, waiting = 0, 0
    for folder in sorted(config.directory.glob("runs/*/attempts/*")):
        # The lock is looked at first: opening the spool of a live process would cut its last line.
        attempt = None if _in_use(folder) else load_leftover(folder)
        if attempt is None:
            continue
        pending = attempt.spool.pending()
        taken, refused = _ship(config, attempt)
        sent, waiting = sent + taken, waiting + pending - taken
        if not taken and not refused:  # a run that was deleted or purged holds up no other one
            break  # the monitor takes nothing now; the next attempt would wait as long in vain
    if as_json:
        print_json({"sent": sent, "waiting": waiting})
    else:
        console().print(f"{sent} messages sent, {waiting} still waiting")
    if waiting:
        raise typer.Exit(1)


def db_upgrade(
    directory: Dir = None,
    database: Annotated[str | None, typer.Option(help="postgresql://... or a path.")] = None,
) -> None:
    """Bring the database to this version's schema.

    Example: cusp db upgrade --database postgresql://cusp@db/cusp
    """
    need("db upgrade", "monitor")
    from monitor.config import database_url
    from monitor.store.database import Database

    Database(database_url(_over(os.environ, directory, database))).upgrade()
    console().print("the database is at the newest revision")


def _over(
    environment: Mapping[str, str],
    directory: Path | None = None,
    database: str | None = None,
    host: str | None = None,
    port: int | None = None,
    root_path: str | None = None,
) -> dict[str, str]:
    """Return the environment with what options say in place of variables."""
    given = {
        "CUSP_DIR": None if directory is None else str(absolute(directory, "--dir")),
        "CUSP_DATABASE_URL": database,
        "CUSP_HOST": host,
        "CUSP_PORT": None if port is None else str(port),
        "CUSP_ROOT_PATH": root_path,
    }
    return {**environment, **{name: value for name, value in given.items() if value is not None}}


def _ship(config: settings.Settings, attempt: Attempt) -> tuple[int, bool]:
    """Return how many messages the monitor took, and whether it refused the run itself."""
    before = attempt.spool.acked
    sender = Sender(config.url, config.token, attempt)
    while sender.drain(1.0) is False and sender.failures == 0:
        pass
    sender.close(2 * TIMEOUT_S)  # the lock is given back only once the thread has left the spool
    attempt.close()
    return attempt.spool.acked - before, sender.refused


def _in_use(folder: Path) -> bool:
    from cusp.locks import is_locked

    return is_locked(folder / "lock")


def _version() -> str:
    from cusp import __version__

    return __version__
