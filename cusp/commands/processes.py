"""Commands that run something: the monitor, a training, a worker, the migrations."""

import dataclasses
import os
from pathlib import Path
from typing import Annotated

import typer

from cusp import orphans, settings
from cusp.commands.output import AsJson, console, print_json
from cusp.sender import TIMEOUT_S, Attempt, Sender, load_leftover

Dir = Annotated[Path | None, typer.Option("--dir", help="Data folder (CUSP_DIR, default ~/.cusp).")]


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes any free one.", min=0, max=65535)] = 8787,
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
    from monitor.config import checked, from_environment
    from monitor.serve import bound
    from monitor.serve import serve as serve_until_told

    orphans.end_with_parent()
    environment = dict(os.environ)
    if directory is not None:
        environment["CUSP_DIR"] = str(directory)
    if database is not None:
        environment["CUSP_DATABASE_URL"] = database
    if root_path is not None:
        environment["CUSP_ROOT_PATH"] = root_path
    given = dataclasses.replace(from_environment({**environment, "CUSP_HOST": ""}), host=host)
    listener = bound(host, port)
    port = listener.getsockname()[1]
    config = checked(dataclasses.replace(given, port=port))
    shown = f"[{host}]" if ":" in host else host

    def ready() -> None:
        console().print(
            f"Cusp {_version()} at http://{shown}:{port}{config.root_path} (Ctrl-C ends it)"
        )

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
) -> None:
    """Train a recipe here with TRL GRPO-LoRA, streamed to the monitor.

    Examples: cusp train tiny seed=3 grpo.max_steps=60; cusp train --resume --run-id 01J...
    """
    from trainer.train import main as train_main

    arguments = [recipe, *(overrides or [])] if recipe else []
    arguments += ["--run-id", run_id] if run_id else []
    arguments += ["--resume"] if resume else []
    arguments += ["--from", start_from] if start_from else []
    raise typer.Exit(train_main(arguments))


def worker(
    directory: Dir = None,
    once: Annotated[bool, typer.Option(help="End after one job.")] = False,
) -> None:
    """Run jobs of the monitor on this box, one after another: evaluations, trainings to resume.

    Example: CUSP_URL=http://monitor:8787 cusp worker
    """
    from trainer.worker import main as worker_main

    if directory is not None:
        os.environ["CUSP_DIR"] = str(directory.absolute())
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
    from monitor.config import from_environment
    from monitor.store.database import Database

    environment = dict(os.environ)
    if directory is not None:
        environment["CUSP_DIR"] = str(directory)
    url = database or from_environment({**environment, "CUSP_HOST": ""}).database_url
    Database(url).upgrade()
    console().print("the database is at the newest revision")


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
