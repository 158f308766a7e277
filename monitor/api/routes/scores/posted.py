"""Scores of a checkpoint that anyone brings, and the comparison of those that are there."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from cusp.protocol.fields import Body, Id, Name, Step
from cusp.protocol.scored import Posted
from monitor.actions.scores import comparing, posted, summary
from monitor.api.dependencies import ServiceDep
from monitor.api.keys import IdempotencyKey
from monitor.api.openapi import answers
from monitor.api.permissions import GrantDep, needs
from monitor.database.engine import Transaction
from monitor.schemas import evaluation
from monitor.schemas.base import Json
from monitor.schemas.scores import rows
from monitor.store import checkpoints

router = APIRouter(tags=["runs"])


class CompareRequest(Body):
    """What to compare; default: all tasks of the reference, which is `pre-transition`, else the last step."""

    task: Name | None = None
    reference_step: Step | None = None
    steps: Annotated[tuple[Step, ...], Field(max_length=200)] = ()


@router.post(
    "/runs/{run_id}/evaluations",
    dependencies=[needs("control")],
    responses=answers(rows.PostedEvaluation, 409),
)
def post_scores(run_id: Id, scores: Posted, service: ServiceDep, grant: GrantDep) -> Json:
    """Store scores of a checkpoint or the base model, whoever made them; a repeat changes nothing."""
    summary.prepare()
    with service.database.write() as tx:
        taken = posted.take(tx, run_id, scores, service.clock(), grant.name)
        aliases = checkpoints.aliases_of(tx, run_id)
    return {
        "evaluation": evaluation.evaluation(taken.evaluation, aliases),
        "stored": taken.stored,
        "left_out": taken.left_out,
    }


@router.post(
    "/runs/{run_id}/comparisons",
    dependencies=[needs("control")],
    responses=answers(rows.Compared, 409),
)
def compare_scores(
    run_id: Id,
    service: ServiceDep,
    grant: GrantDep,
    request: CompareRequest | None = None,
    key: IdempotencyKey = None,
) -> Json:
    """Compare the checkpoints that have rows of the same problems, and show that on the run's page."""
    asked = request or CompareRequest()
    summary.prepare()

    def act(tx: Transaction) -> Json:
        return comparing.compare_stored(
            tx,
            run_id,
            service.clock(),
            grant.name,
            task=asked.task,
            reference_step=asked.reference_step,
            steps=asked.steps,
        )

    return service.idempotent(key, ["compare", run_id, asked.model_dump()], act)
