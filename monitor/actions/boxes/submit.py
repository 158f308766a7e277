"""A new training, asked for before there is a run: a `train` job for any worker, or for one of a box.

The run id is made here, so that a job whose worker was lost goes on with the same run. The monitor knows no
recipes: it refuses what no worker says it has, and the worker refuses overrides that the recipe does not take.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from cusp.ids import new_id
from monitor.actions import lease
from monitor.actions.record import record
from monitor.database.engine import Transaction
from monitor.errors import Conflict, NotFound, QuotaExceeded
from monitor.store import boxes, jobs

MOST_WAITING = 100


class Order(NamedTuple):
    """A recipe by name, `key=value` overrides, the box (None: any), the processes (None: one a GPU)."""

    recipe: str
    overrides: Sequence[str]
    box: str | None
    processes: int | None


def submit(tx: Transaction, now: float, author: str, order: Order) -> Any:
    """Queue the training and return its job. Conflict says which boxes and recipes there are."""
    _check(boxes.alive(tx, now), order)
    if jobs.unfinished_trainings(tx) >= MOST_WAITING:
        raise QuotaExceeded(
            f"{MOST_WAITING} trainings wait or are at work, the most there can be; cancel some, or ask"
            " again when some have ended"
        )
    payload = {**order._asdict(), "overrides": list(order.overrides), "author": author}
    job = jobs.add(tx, new_id(), "train", payload, now)
    record(tx, "training.asked", None, now, by=author, target=job.id, detail=payload)
    return job


def cancel(tx: Transaction, job_id: str, now: float, author: str) -> Any:
    """End a training that no worker has, or whose run is not announced; Conflict when its run can be stopped.

    A worker that has it drops it, and ends its process, when its next heartbeat is refused.
    """
    job = jobs.get(tx, job_id)
    if job is None or not jobs.is_new_training(job):
        raise NotFound(f"there is no training {job_id!r} here")
    lease.cancel(tx, job, now, author)
    return jobs.get(tx, job_id)


def _check(there: Sequence[Any], order: Order) -> None:
    if not there:
        raise Conflict(
            f"no worker has been heard of for {boxes.ALIVE_S:.0f} s; start one on the box that is to"
            " train: `cusp worker`, or with docker compose `make up PROFILE=gpu` or `PROFILE=cpu`"
        )
    named = [worker for worker in there if order.box in (None, worker.box)]
    if not named:
        known = ", ".join(sorted({worker.box for worker in there}))
        raise Conflict(f"no worker is on a box {order.box!r}; there are workers on {known}")
    recipes = sorted({name for worker in named for name in worker.recipes})
    if order.recipe not in recipes:
        where = f"on box {order.box}" if order.box else "here"
        raise Conflict(
            f"no worker {where} has a recipe {order.recipe!r}; known are {', '.join(recipes) or 'none'}"
        )
