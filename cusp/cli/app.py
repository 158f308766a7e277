"""Typer application of the `cusp` command, and its `main`."""

import logging
import os
import sys
from typing import Annotated

import typer

from cusp.cli import (
    checkpoints,
    export,
    jobs,
    recipes,
    runs,
    serve,
    show,
    sync,
    tokens,
    train,
    verify,
    webhooks,
)
from cusp.cli.box import doctor
from cusp.cli.demo import demo
from cusp.cli.evaluation import tasks
from cusp.cli.replay import replay_logs
from cusp.cli.scores import evaluations
from cusp.cli.support.command_list import CommandList
from cusp.errors import DEBUG, CuspError, disk_full, print_error

app = typer.Typer(
    name="cusp",
    cls=CommandList,
    help="Watch GRPO-LoRA training, recognise the format phase transition, keep the checkpoint before it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
database = typer.Typer(cls=CommandList, no_args_is_help=True, help="Look after the database.")
app.add_typer(database, name="db")
app.add_typer(tokens.app, name="token")
app.add_typer(webhooks.app, name="webhook")
app.add_typer(runs.app, name="runs")
app.add_typer(tasks.app, name="tasks")
database.command("upgrade")(serve.db_upgrade)

for command in (
    demo.demo,
    serve.serve,
    train.train,
    recipes.recipes,
    train.worker,
    doctor.doctor,
    sync.sync,
    replay_logs.replay,
    show.show,
    show.stop,
    show.report,
    runs.edit,
    verify.verify,
    jobs.resume,
    jobs.evaluate,
    evaluations.evaluations,
    checkpoints.promote,
    checkpoints.pin,
    checkpoints.check,
    export.export,
):
    app.command()(command)


@app.callback(invoke_without_command=True)
def top(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error; goes with any command.")
    ] = False,
) -> None:
    """Watch GRPO-LoRA training, recognise the format phase transition, keep the checkpoint before it."""
    if version:
        typer.echo(f"cusp {serve._version()}")
        raise typer.Exit


def main() -> None:
    """Run the command; a CuspError is printed as one sentence, exit status 2.

    Any other exception is a bug of ours and keeps its traceback (status 1).
    """
    _mend_streams()
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    words = _before_dashes(sys.argv[1:])
    if "--debug" in words:
        os.environ[DEBUG] = "1"
    try:
        try:
            app([one for one in words if one != "--debug"] + sys.argv[1 + len(words) :])
        finally:
            sys.stdout.flush()  # here, where a broken pipe can still be handled
    except CuspError as error:
        sys.exit(print_error(error))
    except BrokenPipeError:  # `cusp runs | head`: the reader is gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if full := disk_full(error):
            sys.exit(print_error(full))
        raise


def _before_dashes(words: list[str]) -> list[str]:
    return words[: words.index("--")] if "--" in words else words


def _mend_streams() -> None:
    """Reopen closed standard streams on devnull, and print unencodable characters as `?`."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:  # the next file opened would take its descriptor
            descriptor = os.open(os.devnull, os.O_RDWR)
            if descriptor != number:
                os.dup2(descriptor, number)
            setattr(sys, name, open(number, "r" if number == 0 else "w", closefd=False))  # noqa: SIM115
        elif hasattr(getattr(sys, name), "reconfigure"):
            getattr(sys, name).reconfigure(errors="replace")
