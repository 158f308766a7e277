"""Stopping a run, verifying it, taking it up again, and the state of a command."""

from typing import Literal

from fastapi import APIRouter

from cusp.protocol.fields import Body, Id, Step, Text
from monitor.actions import resume, stop
from monitor.actions.require import run_or_404
from monitor.actions.verify import ask
from monitor.api.dependencies import ServiceDep
from monitor.api.keys import IdempotencyKey
from monitor.api.openapi import answers
from monitor.api.permissions import GrantDep, needs
from monitor.database.engine import Transaction
from monitor.errors import NotFound
from monitor.schemas import evaluation, verification
from monitor.schemas import run as run_schema
from monitor.schemas.base import Json
from monitor.schemas.run_data import RunData
from monitor.store import commands

router = APIRouter(tags=["runs"])


class StopRequest(Body):
    """Why and how to stop."""

    reason: Text = "stopped by a person"
    mode: Literal["graceful", "after_save"] = "graceful"


@router.post(
    "/runs/{run_id}/stop",
    status_code=202,
    dependencies=[needs("control")],
    responses=answers(run_schema.RunCommand, 409, status=202),
)
def stop_run(
    run_id: Id,
    service: ServiceDep,
    grant: GrantDep,
    request: StopRequest | None = None,
    key: IdempotencyKey = None,
) -> Json:
    """Ask the trainer to save, pin, acknowledge and exit; a stop under way is returned as it is.

    Only a `graceful` one beside one that waits for a save is asked for, too: somebody is in a hurry.
    """
    asked = request or StopRequest()

    def act(tx: Transaction) -> Json:
        now, patience = service.clock(), service.config.lost_after_s
        given = asked.model_dump()
        return run_schema.command(
            stop.stop(tx, run_id, now, grant.name, **given, lost_after_s=patience)
        )

    return service.idempotent(key, ["stop", run_id, asked.model_dump()], act)


@router.get(
    "/runs/{run_id}/commands/{command_id}",
    dependencies=[needs("read")],
    responses=answers(run_schema.RunCommand),
)
def get_command(run_id: Id, command_id: Id, service: ServiceDep) -> Json:
    """Return a command and how far it got."""
    with service.database.read() as tx:
        row = commands.get(tx, command_id)
        if row is None or row.run_id != run_id:
            raise NotFound(f"run {run_id} has no command {command_id!r}")
        return run_schema.command(row)


@router.get(
    "/runs/{run_id}/verifications",
    dependencies=[needs("read")],
    responses=answers(verification.Verifications),
)
def get_verifications(run_id: Id, service: ServiceDep) -> Json:
    """Return the run's verifications on held-out problems, newest first, and what they cost."""
    with service.database.read() as tx:
        return verification.verifications(RunData(tx, run_or_404(tx, run_id)), service.clock())


@router.post(
    "/runs/{run_id}/verifications",
    status_code=202,
    dependencies=[needs("control")],
    responses=answers(verification.Verification, 409, status=202),
)
def verify_run(
    run_id: Id, service: ServiceDep, grant: GrantDep, key: IdempotencyKey = None
) -> Json:
    """Ask for a verification of the weights of now; one under way is returned as it is.

    The policy acts on its outcome as on one that it asked for itself.
    """

    def act(tx: Transaction) -> Json:
        now, patience = service.clock(), service.config.lost_after_s
        row = ask.asked_for(tx, run_id, now, grant.name, lost_after_s=patience)
        return verification.verification(RunData(tx, run_or_404(tx, run_id)), row, now)

    return service.idempotent(key, ["verify", run_id], act)


class ResumeRequest(Body):
    """From which step; none named means where the run ended."""

    step: Step | None = None


@router.post(
    "/runs/{run_id}/resume",
    status_code=202,
    dependencies=[needs("control")],
    responses=answers(evaluation.Job, 409, status=202),
)
def resume_run(
    run_id: Id,
    service: ServiceDep,
    grant: GrantDep,
    request: ResumeRequest | None = None,
    key: IdempotencyKey = None,
) -> Json:
    """Queue a `train` job that goes on from a checkpoint; one that waits already is returned."""
    step = request.step if request else None

    def act(tx: Transaction) -> Json:
        now, patience = service.clock(), service.config.lost_after_s
        return evaluation.job(
            resume.asked_for(tx, run_id, now, grant.name, step=step, lost_after_s=patience)
        )

    return service.idempotent(key, ["resume", run_id, step], act)
