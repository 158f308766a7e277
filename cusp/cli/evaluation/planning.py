"""`cusp evaluate --plan`: what an evaluation would generate and cost, from what was measured on the run."""

import datetime
from collections.abc import Sequence
from typing import Any

from cusp.cli.evaluation.asking import Asked, UnusableRecipe
from cusp.cli.support.output import console, print_json
from cusp.cli.support.requirements import need
from cusp.client import Client

MOST_CANDIDATES = 8  # monitor/policy/candidates.py
LATEST = 20  # steps whose completion lengths are averaged


def tell_plan(
    client: Client,
    run: dict[str, Any],
    steps: Sequence[int] | None,
    asked: Asked,
    samples: int | None,
    *,
    as_json: bool,
) -> None:
    """Print the plan; the tasks must be on this box.

    Lengths are those of the run's earlier evaluations, else of its latest training steps; the speed is that of its
    earlier evaluations.
    """
    need("evaluate --plan", "trainer")
    from trainer.evaluation.forecast import Lengths, forecast
    from trainer.evaluation.tasks import tasks_of

    run = client.get(f"/runs/{run['id']}")
    recipe = _recipe(run, asked)
    sets = tasks_of(recipe, samples)
    tasks = [sets.selection, *sets.report]
    scored = client.get(f"/runs/{run['id']}/evaluations")["evaluations"]
    lengths = {each["task"]: Lengths(each["mean_tokens"], float("nan")) for each in scored}
    source = "earlier evaluations of the run"
    if not lengths:
        mean, source = _trained_length(client, run), f"the training's last {LATEST} steps"
        lengths = {task.name: Lengths(mean, float("nan")) for task in tasks}
    there = len(client.get(f"/runs/{run['id']}/checkpoints")["checkpoints"])
    candidates = len(steps) + 2 if steps else min(MOST_CANDIDATES, there + 1)
    price = run["metadata"].get("gpu_hourly_usd")
    found = forecast(tasks, candidates, lengths, _speed(client, run, scored), price)
    body = {
        "candidates": candidates,
        "completions": found.completions,
        "tokens": round(found.tokens),
        "seconds": found.seconds,
        "usd": found.usd,
        "lengths_of": source,
        "tasks": [
            {
                "task": task.name,
                "split": task.split,
                "problems": len(task.problems),
                "samples_per_problem": task.sampling.samples_per_problem,
            }
            for task in tasks
        ],
    }
    if as_json:
        print_json(body)
        return
    for task in tasks:
        console().print(
            f"{task.split}: {task.name}, {len(task.problems)} problems,"
            f" {task.sampling.samples_per_problem} a problem",
            markup=False,
        )
    console().print(
        f"{candidates} candidates: {found.words}; lengths of {source}"
        + ("" if found.seconds else "; no evaluation of the run has measured a speed yet")
    )


def _recipe(run: dict[str, Any], asked: Asked) -> Any:
    """Return the recipe to evaluate by: the run's own as the monitor has it, with what is asked for."""
    from pathlib import Path

    from trainer.jobs.asked_evaluation import AskedEvaluation, combined, pretrained
    from trainer.recipe_loader import RecipeError, parse

    try:
        own = parse(run.get("config"), Path("the run's configuration"))
    except RecipeError:
        own = None  # not started with `cusp train`
    if own is None and asked.suite is None:
        raise UnusableRecipe(
            f"run {run['id']} has no recipe; name what to score it on with --suite"
        )
    wanted = AskedEvaluation(suite=asked.suite, max_new_tokens=asked.max_new_tokens)
    return combined(own, own.model if own else pretrained("unknown"), wanted)


def _trained_length(client: Client, run: dict[str, Any]) -> float:
    """Return the mean completion length of the run's latest steps; UnusableRecipe if it logged none."""
    found = client.get(f"/runs/{run['id']}/series", names="completion_length")["series"]
    values = [value for each in found for value in each["values"]]
    if not values:
        raise UnusableRecipe(
            f"run {run['id']} has neither an evaluation nor logged completion lengths to plan with; start it, the"
            " worker measures them first"
        )
    latest = values[-LATEST:]
    return float(sum(latest) / len(latest))


def _speed(client: Client, run: dict[str, Any], scored: Sequence[dict[str, Any]]) -> float | None:
    """Return tokens a second of the run's evaluations; None if there is none."""
    jobs = client.get("/jobs", run_id=run["id"])["jobs"]
    seconds = sum(
        (_time(job["finished_at"]) - _time(job["started_at"])).total_seconds()
        for job in jobs
        if job["kind"] == "evaluate" and job["state"] == "done" and job["started_at"]
    )
    tokens = sum(each["mean_tokens"] * each["n_samples"] for each in scored)
    return tokens / seconds if seconds > 0 and tokens else None


def _time(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text)
