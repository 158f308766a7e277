"""The `cusp` command."""

import logging
import sys
from typing import Annotated

import typer

from cusp.client import ClientError
from cusp.commands import deletion, demo, jobs, processes, replay, runs, tokens, webhooks

app = typer.Typer(
    name="cusp",
    help="Watch GRPO-LoRA training, recognise the format phase transition, keep the checkpoint before it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
database = typer.Typer(no_args_is_help=True, help="Look after the database.")
app.add_typer(database, name="db")
app.add_typer(tokens.app, name="token")
app.add_typer(webhooks.app, name="webhook")
app.add_typer(deletion.app, name="runs")
database.command("upgrade")(processes.db_upgrade)

for command in (
    demo.demo,
    processes.serve,
    processes.train,
    processes.worker,
    processes.sync,
    replay.replay,
    runs.show,
    runs.stop,
    jobs.resume,
    jobs.evaluate,
    runs.promote,
    runs.pin,
):
    app.command()(command)


@app.callback(invoke_without_command=True)
def top(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Watch GRPO-LoRA training, recognise the format phase transition, keep the checkpoint before it."""
    if version:
        typer.echo(f"cusp {processes._version()}")
        raise typer.Exit


def main() -> None:
    """Run the command; an error a person can mend is one sentence and exit status 2."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    try:
        app()
    except (ClientError, ValueError, RuntimeError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            sys.exit(1)
        typer.echo(f"cusp: {error}", err=True)
        sys.exit(2)
