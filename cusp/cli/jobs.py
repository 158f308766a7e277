"""`cusp resume`, `cusp evaluate`: queue jobs for a worker on a GPU box."""

import shutil
from pathlib import Path
from typing import Annotated, Any

import typer

from cusp import settings
from cusp.checkpoints import paths
from cusp.cli.scores.importing import ImportOption, MetricOption, import_scores
from cusp.cli.show import RunArgument, checkpoint_of
from cusp.cli.support.output import AsJson, console, print_json
from cusp.cli.support.requirements import need
from cusp.cli.support.run_lookup import find
from cusp.client import Client
from cusp.errors import CuspError
from cusp.run_config import RECIPE_FILE


class UnusableRecipe(CuspError, ValueError):
    """A recipe cannot be used for a run; the message says why."""


def resume(
    run: RunArgument,
    step: Annotated[
        int | None, typer.Option(help="Go on from the checkpoint of this step.", min=0)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Have a worker take a run up again, from its latest checkpoint or an earlier one.

    What the new attempt logs supersedes the old values from its first step on; both stay visible.
    Example: cusp resume tiny --step 40
    """
    with Client() as client:
        found = find(client, run)
        job = client.post(f"/runs/{found['id']}/resume", {} if step is None else {"step": step})
    _told(job, f"resuming {found['name']}", run, as_json)


def evaluate(
    run: RunArgument,
    steps: Annotated[
        list[int] | None, typer.Argument(metavar="[STEP]...", help="Default: the candidates.")
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option(help="Put this recipe into the run's folder on this box first."),
    ] = None,
    from_file: ImportOption = None,
    metric: MetricOption = None,
    as_json: AsJson = False,
) -> None:
    """Have a worker score checkpoints of a run on held-out problems, or take scores that others made.

    Example: cusp evaluate tiny 40 60
    """
    if from_file is not None:
        return import_scores(run, steps, from_file, metric, as_json=as_json)
    with Client() as client:
        found = find(client, run)
        chosen = [checkpoint_of(client, found, step)["id"] for step in steps or []]
        if recipe is not None:
            _give(recipe, found["id"])
        body = {"checkpoints": chosen, "recipe_given": recipe is not None}
        job = client.post(f"/runs/{found['id']}/evaluate", body)
    return _told(job, f"evaluating {found['name']}", run, as_json)


def _told(job: dict[str, Any], what: str, run: str, as_json: bool) -> None:
    if as_json:
        print_json(job)
    else:
        console().print(
            f"{what} is {job['state']} as job {job['id']}; a `cusp worker` does it, follow it with"
            f" `cusp show {run}`"
        )


def _give(recipe: Path, run_id: str) -> None:
    """Copy a valid recipe with an evaluation section into the run's folder, where workers read it."""
    need("evaluate --recipe", "trainer")
    from trainer.recipe_loader import load_recipe

    if load_recipe(recipe).evaluation is None:
        raise UnusableRecipe(
            f"{recipe} has no evaluation section; it must name the problems to score on"
        )
    root = paths.run_root(settings.from_environment().directory, run_id)
    if not root.is_dir():
        raise UnusableRecipe(
            f"run {run_id} has no folder on this box ({root}); do this where it was trained, with the"
            " same CUSP_DIR"
        )
    try:
        shutil.copyfile(recipe, root / RECIPE_FILE)
    except OSError as error:
        raise UnusableRecipe(f"{recipe} cannot be put into {root} ({error.strerror})") from error
