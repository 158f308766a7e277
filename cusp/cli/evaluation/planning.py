"""`cusp evaluate --plan`: what an evaluation would generate and cost, from what was measured on the run."""

import datetime
from collections.abc import Sequence
from typing import Any

from cusp.cli.evaluation.asking import Asked, UnusableRecipe
from cusp.cli.support.output import console, print_json
from cusp.cli.support.requirements import need
from cusp.client import Client

MOST_CANDIDATES = 8  # monitor/policy/candidates.py
UNKNOWN = "unknown"  # base model of a run without a recipe: a worker reads it from the adapter
LATEST = 20  # steps whose completion lengths are averaged


def tell_plan(
    client: Client,
    run_id: str,
    steps: Sequence[int] | None,
    asked: Asked,
    samples: int | None,
    *,
    as_json: bool,
) -> None:
    """Print what an evaluation would take; its tasks must be on this box."""
    need("evaluate --plan", "trainer")
    plan = _planned(client, client.get(f"/runs/{run_id}"), steps, asked, samples)
    if as_json:
        print_json({name: value for name, value in plan.items() if name != "words"})
        return
    for task in plan["tasks"]:
        console().print(
            f"{task['split']}: {task['task']}, {task['problems']} problems,"
            f" {task['samples_per_problem']} a problem",
            markup=False,
        )
    known = "" if plan["seconds"] else "; no evaluation of the run has measured a speed yet"
    of = f" of {plan['base']}" if plan["base"] else ""
    words = f"{plan['candidates']} candidates{of}: {plan['words']}; lengths of {plan['lengths_of']}"
    console().print(f"{words}{known}", markup=False)


def _planned(
    client: Client,
    run: dict[str, Any],
    steps: Sequence[int] | None,
    asked: Asked,
    samples: int | None,
) -> dict[str, Any]:
    """Return the plan: lengths of the run's earlier evaluations, else of its training, and their speed."""
    from trainer.evaluation.forecast import Lengths, forecast
    from trainer.evaluation.tasks import tasks_of

    recipe = _recipe(run, asked)
    base = getattr(recipe.model, "id", recipe.model.kind)
    sets = tasks_of(recipe, samples)
    tasks = [sets.selection, *sets.report]
    scored = _measured(client.get(f"/runs/{run['id']}/evaluations")["evaluations"])
    means = {each["task"]: float(each["mean_tokens"]) for each in scored}
    source = "earlier evaluations of the run"
    if not means:
        means = {"": _trained_length(client, run)}
        source = f"the training's last {LATEST} steps"
    usual = sum(means.values()) / len(means)
    lengths = {  # what was measured may have been cut later than this evaluation cuts
        task.name: Lengths(
            min(means.get(task.name, usual), float(task.sampling.max_new_tokens)), float("nan")
        )
        for task in tasks
    }
    price, candidates = run["metadata"].get("gpu_hourly_usd"), _candidates(client, run, steps)
    speed = _speed(client, run, scored)
    found = forecast(tasks, candidates, lengths, price, tokens_per_s=speed)
    return {
        "base": None if base == UNKNOWN else base,
        "candidates": candidates,
        "completions": found.completions,
        "tokens": round(found.tokens),
        "seconds": found.seconds,
        "usd": found.usd,
        "lengths_of": source,
        "words": found.words,
        "tasks": [_task(task) for task in tasks],
    }


def _measured(evaluations: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return those that a worker generated: others' have no token counts, and took none of the jobs' time."""
    return [
        each
        for each in evaluations
        if each["source"] == "worker" and each["mean_tokens"] is not None
    ]


def _task(task: Any) -> dict[str, Any]:
    return {
        "task": task.name,
        "split": task.split,
        "problems": len(task.problems),
        "samples_per_problem": task.sampling.samples_per_problem,
    }


def _candidates(client: Client, run: dict[str, Any], steps: Sequence[int] | None) -> int:
    """Return how many would be scored at most; those named are joined by the base model and the reference."""
    if steps:
        return len(steps) + 2
    there = len(client.get(f"/runs/{run['id']}/checkpoints")["checkpoints"])
    return min(MOST_CANDIDATES, there + 1)


def _recipe(run: dict[str, Any], asked: Asked) -> Any:
    """Return the recipe to evaluate by: the run's own as the monitor has it, with what is asked for.

    Raises UnusableRecipe where the evaluation itself would be refused for its base model.
    """
    from pathlib import Path

    from trainer.jobs.asked_evaluation import (
        AskedEvaluation,
        check_base,
        combined,
        names_its_base,
        pretrained,
    )
    from trainer.recipe_loader import RecipeError, parse

    try:
        own = parse(run.get("config"), Path("the run's configuration"))
    except RecipeError:
        own = None  # not started with `cusp train`
    if own is None and asked.suite is None:
        raise UnusableRecipe(
            f"run {run['id']} has no recipe; name what to score it on with --suite"
        )
    if own is not None and asked.base is not None:
        raise UnusableRecipe(names_its_base(run["id"]))
    wanted = AskedEvaluation(suite=asked.suite, max_new_tokens=asked.max_new_tokens)
    if own is not None:
        return combined(own, own.model, wanted)
    if asked.base is not None and not asked.of_this_box:
        check_base(asked.base)
    return combined(None, pretrained(asked.base_here or UNKNOWN), wanted)


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
