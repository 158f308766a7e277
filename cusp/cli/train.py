"""`cusp train` and `cusp worker`."""

import os
from typing import Annotated

import typer

from cusp import settings
from cusp.cli.box.submit import submit as submit_training
from cusp.cli.recipes import of_preset
from cusp.cli.serve import Dir, with_options
from cusp.cli.support.output import AsJson, console
from cusp.cli.support.requirements import need
from cusp.errors import CuspError
from cusp.ids import new_id
from cusp.process.alive import is_alive


class OptionsContradict(CuspError, ValueError):
    """An option was given beside --submit that means a training here, or without it one that needs it."""


REBUILD_BASE = "model.rebuild=true"


def train(
    recipe: Annotated[
        str | None, typer.Argument(help="A shipped recipe's name or a YAML file.")
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Recipe values to change.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="Another preset of the recipe than its first.")
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
    submit: Annotated[
        bool, typer.Option(help="Have a worker train it: send it to the monitor.")
    ] = False,
    box: Annotated[
        str | None, typer.Option(help="With --submit: only a worker on this box.")
    ] = None,
    as_json: AsJson = False,
    rebuild_base: Annotated[
        bool,
        typer.Option(
            "--rebuild-base", help="Train the base model of `tiny` here, not the shipped."
        ),
    ] = False,
) -> None:
    """Train a recipe here with TRL GRPO-LoRA, streamed to the monitor; with --submit on a worker's box.

    Examples: cusp train tiny seed=3 grpo.max_steps=60; cusp train --resume --run-id 01J...;
    cusp train --submit tiny seed=3 --wait
    """
    recipe = of_preset(recipe, preset)
    if submit:
        _check_submitted(run_id, start_from, resume=resume, rebuild_base=rebuild_base)
        submit_training(
            recipe, overrides or [], box=box, processes=processes, wait=wait, as_json=as_json
        )
        return
    _check_here(box, as_json=as_json)
    need("train", "trainer")
    from trainer import launch
    from trainer.box import LOCKED_ABOVE
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
    place = settings.from_environment()
    known = run_id or place.run_id or new_id()  # the box is taken for a run that can be named
    arguments += [] if run_id else ["--run-id", known]
    with holding_the_box(place.directory, known, wait=wait):
        console().print(launch.start_message(chosen, gpus))
        status = launch.run(arguments, chosen, gpus, LOCKED_ABOVE)
    raise typer.Exit(status)


def _check_submitted(
    run_id: str | None, start_from: str | None, *, resume: bool, rebuild_base: bool
) -> None:
    """Raise OptionsContradict for options that mean this box."""
    given = {
        "--run-id": run_id,
        "--resume": resume,
        "--from": start_from,
        "--rebuild-base": rebuild_base,
    }
    if wrong := [name for name, value in given.items() if value]:
        raise OptionsContradict(
            f"{wrong[0]} does not go with --submit: the monitor gives a new training its run id, and"
            " `cusp resume` has a worker take a run up again"
        )


def _check_here(box: str | None, *, as_json: bool) -> None:
    """Raise OptionsContradict for options that mean a training on a worker's box."""
    if box is not None or as_json:
        raise OptionsContradict(
            f"{'--json' if box is None else '--box'} needs --submit: without it the training is done here;"
            " add --submit to have a worker train it, or leave the option out"
        )


def worker(
    directory: Dir = None,
    once: Annotated[bool, typer.Option(help="End after one job.")] = False,
    check: Annotated[
        bool,
        typer.Option("--check", help="Exit with 0 if a worker is at work on this box, else 1."),
    ] = False,
) -> None:
    """Run jobs of the monitor on this box, one after another: trainings, evaluations, verifications.

    Example: CUSP_URL=http://monitor:8787 cusp worker
    """
    if check:
        place = settings.from_environment(with_options(os.environ, directory))
        raise typer.Exit(0 if is_alive(place.directory) else 1)
    need("worker", "trainer")
    from trainer.worker import main as worker_main

    os.environ.update(with_options({}, directory))
    raise typer.Exit(worker_main(["--once"] if once else []))
