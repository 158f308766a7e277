"""The REST objects of workers and of trainings that were submitted to them."""

from collections.abc import Sequence
from typing import Any

from monitor.clock import when
from monitor.schemas import evaluation
from monitor.schemas.base import Json, Shape, columns
from monitor.store import jobs


class Worker(Shape):
    name: str
    box: str
    gpus: int
    recipes: list[str]
    seen_at: str


class Workers(Shape):
    workers: list[Worker]


class Seen(Shape):
    next_s: float


class RunRef(Shape):
    name: str
    status: str


class Training(evaluation.Job):
    """A job that begins a run, and the run once its trainer has announced it.

    `lease_lost`: its worker has not been heard of for a whole lease; another one of that box may go on with it.
    """

    lease_lost: bool
    run: RunRef | None


class Trainings(Shape):
    trainings: list[Training]


def worker(row: Any) -> Json:
    """Return a `Worker`."""
    return {**columns(row, ("name", "box", "gpus", "recipes")), "seen_at": when(row.seen_at)}


def training(row: Any, run: Any, now: float) -> Json:
    """Return a `Training`; `run` is its run's row, None before it was announced."""
    known = None if run is None else {"name": run.name, "status": run.status}
    return {**evaluation.job(row), "lease_lost": jobs.lease_lost(row, now), "run": known}


def trainings(rows: Sequence[Any], runs: Sequence[Any], now: float) -> Json:
    """Return `Trainings` of jobs and the rows of those of their runs that are there."""
    found = {run.id: run for run in runs}
    return {"trainings": [training(row, found.get(row.run_id), now) for row in rows]}
