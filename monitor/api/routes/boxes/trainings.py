"""Trainings: submitted to any worker or to one of a box, followed, and cancelled until their run is there."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import AfterValidator, Field

from cusp.protocol.fields import NUMBER, Body, Id, Name, storable
from monitor.actions.boxes import submit
from monitor.api.dependencies import ServiceDep
from monitor.api.keys import IdempotencyKey
from monitor.api.openapi import answers
from monitor.api.permissions import GrantDep, needs
from monitor.database.engine import Transaction
from monitor.errors import NotFound
from monitor.schemas import training
from monitor.schemas.base import Json
from monitor.store import jobs, run_list, runs

router = APIRouter(tags=["trainings"])


Override = Annotated[
    str,
    Field(max_length=1_000, pattern=r"^[A-Za-z_][A-Za-z0-9_.-]*=[^\x00]*$"),
    AfterValidator(storable),
]


class NewTraining(Body):
    """A recipe by name, `key=value` overrides, the box that is to train it, and on how many processes."""

    recipe: Name
    overrides: Annotated[tuple[Override, ...], Field(max_length=100)] = ()
    box: Name | None = None
    processes: Annotated[int, Field(ge=1, le=1_024), NUMBER] | None = None


@router.post(
    "/trainings",
    status_code=202,
    dependencies=[needs("control")],
    responses=answers(training.Training, 409, status=202),
)
def submit_training(
    asked: NewTraining, service: ServiceDep, grant: GrantDep, key: IdempotencyKey = None
) -> Json:
    """Queue a new training; a worker claims it and trains it as the run `run_id`."""
    order = submit.Order(asked.recipe, asked.overrides, asked.box, asked.processes)

    def act(tx: Transaction) -> Json:
        now = service.clock()
        return training.training(submit.submit(tx, now, grant.name, order), None, now)

    return service.idempotent(key, ["train", asked.model_dump()], act)


@router.get("/trainings", dependencies=[needs("read")], responses=answers(training.Trainings))
def list_trainings(service: ServiceDep) -> Json:
    """Return the trainings that were submitted last, newest first."""
    with service.database.read() as tx:
        found = jobs.new_trainings(tx)
        begun = run_list.some(tx, [row.run_id for row in found])
        return training.trainings(found, begun, service.clock())


@router.get(
    "/trainings/{job_id}", dependencies=[needs("read")], responses=answers(training.Training)
)
def get_training(job_id: Id, service: ServiceDep) -> Json:
    """Return a training and how far it is."""
    with service.database.read() as tx:
        row = jobs.get(tx, job_id)
        if row is None or not jobs.is_new_training(row):
            raise NotFound(f"there is no training {job_id!r} here")
        return training.training(row, runs.get(tx, row.run_id), service.clock())


@router.post(
    "/trainings/{job_id}/cancel",
    dependencies=[needs("control")],
    responses=answers(training.Training, 409),
)
def cancel_training(
    job_id: Id, service: ServiceDep, grant: GrantDep, key: IdempotencyKey = None
) -> Json:
    """End a training that no worker has, or that has no run yet; else its run is stopped instead."""

    def act(tx: Transaction) -> Json:
        now = service.clock()
        row = submit.cancel(tx, job_id, now, grant.name)
        return training.training(row, runs.get(tx, row.run_id), now)

    return service.idempotent(key, ["cancel", job_id], act)
