"""`cusp resume`, `cusp evaluate`: queue jobs for a worker on a GPU box."""

import shutil
from pathlib import Path
from typing import Annotated, Any

import typer

from cusp.cli.evaluation.asking import Asked, UnusableRecipe, folder_of, give_here
from cusp.cli.evaluation.planning import tell_plan
from cusp.cli.scores.importing import ImportOption, MetricOption, import_scores
from cusp.cli.show import RunArgument, checkpoint_of
from cusp.cli.support.output import AsJson, console, print_json
from cusp.cli.support.requirements import need
from cusp.cli.support.run_lookup import find
from cusp.client import Client
from cusp.run_config import RECIPE_FILE


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


Steps = Annotated[
    list[int] | None, typer.Argument(metavar="[STEP]...", help="Default: the candidates.")
]
SuiteOption = Annotated[
    str | None,
    typer.Option("--suite", help="A suite of `cusp tasks list`, or tasks joined by commas."),
]
Base = Annotated[
    str | None,
    typer.Option(help="The base model, where the run has no recipe: OWNER/NAME, or a folder."),
]
Samples = Annotated[
    int | None, typer.Option(help="Completions a problem, of every task.", min=1, max=1024)
]
Longest = Annotated[
    int | None, typer.Option("--max-new-tokens", help="The longest completion, in tokens.", min=1)
]
Engine = Annotated[str | None, typer.Option(help="hf, vllm or openai.")]
Server = Annotated[
    str | None,
    typer.Option("--base-url", help="With --engine openai: the server, such as http://HOST:8000."),
]
RecipeFile = Annotated[
    Path | None, typer.Option(help="Put this recipe into the run's folder on this box first.")
]
OnlyPlan = Annotated[
    bool, typer.Option("--plan", help="Say what it would generate and cost; start nothing.")
]


def evaluate(
    run: RunArgument,
    steps: Steps = None,
    suite: SuiteOption = None,
    base: Base = None,
    samples: Samples = None,
    longest: Longest = None,
    engine: Engine = None,
    server: Server = None,
    recipe: RecipeFile = None,
    plan: OnlyPlan = False,
    from_file: ImportOption = None,
    metric: MetricOption = None,
    as_json: AsJson = False,
) -> None:
    """Have a worker score checkpoints of a run on held-out problems, or take scores that others made.

    Examples: cusp evaluate tiny 40 60; cusp evaluate mine --suite smoke --base Qwen/Qwen3-0.6B
    """
    if from_file is not None:
        return import_scores(run, steps, from_file, metric, as_json=as_json)
    asked = Asked(suite, base, longest, engine, server)
    with Client() as client:
        found = find(client, run)
        if plan:
            return tell_plan(client, found["id"], steps, asked, samples, as_json=as_json)
        chosen = [checkpoint_of(client, found, step)["id"] for step in steps or []]
        if recipe is not None:
            _give(recipe, found["id"])
        told: dict[str, Any] = {"samples_per_problem": samples}
        if recipe is None and asked.of_this_box:
            told["given_here"] = give_here(found["id"], asked)
        elif recipe is None:
            told |= asked.over_the_network
        told = {name: value for name, value in told.items() if value is not None}
        body = {"checkpoints": chosen, "recipe_given": recipe is not None, **told}
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
    root = folder_of(run_id)
    try:
        shutil.copyfile(recipe, root / RECIPE_FILE)
    except OSError as error:
        raise UnusableRecipe(f"{recipe} cannot be put into {root} ({error.strerror})") from error
