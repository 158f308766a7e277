"""`cusp train` and `cusp worker`."""

import os
from typing import Annotated

import typer

from cusp import settings
from cusp.cli.serve import Dir, with_options
from cusp.cli.support.output import console
from cusp.cli.support.requirements import need

REBUILD_BASE = "model.rebuild=true"


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
    wait: Annotated[
        bool, typer.Option(help="Wait for this box's GPUs, or with --submit for the end.")
    ] = False,
    rebuild_base: Annotated[
        bool,
        typer.Option(
            "--rebuild-base", help="Train the base model of `tiny` here, not the shipped."
        ),
    ] = False,
) -> None:
    """Train a recipe here with TRL GRPO-LoRA, streamed to the monitor.

    Examples: cusp train tiny seed=3 grpo.max_steps=60; cusp train --resume --run-id 01J...
    """
    need("train", "trainer")
    from trainer import box, launch
    from trainer.train import check, holding_the_box
    from trainer.train import main as train_main

    changes = [*(overrides or []), *([REBUILD_BASE] if rebuild_base else [])]
    arguments = [recipe, *changes] if recipe else changes
    arguments += ["--run-id", run_id] if run_id else []
    arguments += ["--resume"] if resume else []
    arguments += ["--from", start_from] if start_from else []
    arguments += ["--wait"] if wait else []
    if launch.launched_already():
        raise typer.Exit(train_main(arguments))
    gpus = launch.visible_gpus()
    chosen = check(arguments, processes, gpus)
    if chosen == 1 and gpus <= 1:
        raise typer.Exit(train_main(arguments))
    with holding_the_box(settings.from_environment().directory, run_id, wait=wait):
        console().print(launch.start_message(chosen, gpus))
        status = launch.run(arguments, chosen, gpus, box.LOCKED_ABOVE)
    raise typer.Exit(status)


def worker(
    directory: Dir = None,
    once: Annotated[bool, typer.Option(help="End after one job.")] = False,
) -> None:
    """Run jobs of the monitor on this box, one after another: evaluations, trainings to resume.

    Example: CUSP_URL=http://monitor:8787 cusp worker
    """
    need("worker", "trainer")
    from trainer.worker import main as worker_main

    os.environ.update(with_options({}, directory))
    raise typer.Exit(worker_main(["--once"] if once else []))
