"""Evaluations: asking for them, what workers post, reading them back."""

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import AfterValidator, Field

from cusp.protocol.fields import Body, Finite, Id, Name, Step
from cusp.protocol.scored import repeated
from monitor.actions import evaluate, lease
from monitor.actions.require import run_or_404
from monitor.api.dependencies import ServiceDep
from monitor.api.keys import IdempotencyKey
from monitor.api.openapi import answers
from monitor.api.permissions import GrantDep, needs
from monitor.api.routes.jobs import Count, Row, Share, Token
from monitor.database.engine import Transaction
from monitor.schemas import evaluation
from monitor.schemas.base import Json
from monitor.schemas.run_data import RunData

router = APIRouter()


def _each_once(rows: list[Row]) -> list[Row]:
    if wrong := repeated((row[0], row[1]) for row in rows):
        raise ValueError(wrong)
    return rows


class Evaluation(Body):
    """One scored checkpoint and split."""

    checkpoint_id: Id | None
    roles: Annotated[list[Name], Field(max_length=16)]
    step: Step
    task: Name
    split: Literal["selection", "report"]
    samples_per_problem: Count
    pass_at_1: Share
    low: Share
    high: Share
    fixed_low: Share | None = None
    fixed_high: Share | None = None
    n_problems: Count
    n_samples: Count
    errors: Count
    mean_tokens: Finite
    truncated_share: Share
    maj_at_k: Share | None = None
    maj_low: Share | None = None
    maj_high: Share | None = None
    preset: Name | None = None
    engine: Name | None = None
    rows: Annotated[list[Row], Field(max_length=200_000), AfterValidator(_each_once)]


class EvaluationPost(Body):
    """An evaluation, with the right to bring it."""

    token: Token
    evaluation: Evaluation


@router.post(
    "/jobs/{job_id}/evaluations",
    tags=["jobs"],
    dependencies=[needs("control")],
    responses=answers(evaluation.Stored, 409),
)
def post_evaluation(job_id: Id, post: EvaluationPost, service: ServiceDep) -> Json:
    """Store one evaluation with its rows; a repeat is ignored."""
    scored, rows = _evaluation_row(post.evaluation), _rows(post.evaluation)
    with service.database.write() as tx:
        new = lease.store_scores(tx, job_id, post.token, service.clock(), scored, rows)
    return {"stored": new}


def _evaluation_row(brought: Evaluation) -> Json:
    head = {"checkpoint_id", "step", "task", "split"}
    return {
        **brought.model_dump(include=head),
        "scores": brought.model_dump(exclude={*head, "rows"}),
    }


def _rows(brought: Evaluation) -> list[Json]:
    names = ("problem_id", "sample", "score", "tokens", "finish_reason", "seed")
    return [dict(zip(names, row, strict=True)) for row in brought.rows]


SuiteNames = Annotated[str, Field(max_length=500, pattern=r"^[\w:-]+(,[\w:-]+)*$")]
HubName = Annotated[str, Field(max_length=200, pattern=r"^\w[\w.-]*(/\w[\w.-]*)?$")]


class EvaluateRequest(Body):
    """Which checkpoints to score; none named means the candidates.

    `recipe_given` says that a recipe with an evaluation section was put into the run's folder. A `suite` (or tasks
    joined by commas) is scored on in place of what the run's recipe names, with `base` as the base model, a name
    of the Hugging Face hub. `given_here` names what is scored on by the hash of a file of its own there.
    """

    checkpoints: list[Id] = Field(default=[], max_length=200)
    recipe_given: bool = False
    given_here: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")] | None = None
    suite: SuiteNames | None = None
    base: HubName | None = None
    samples_per_problem: Annotated[int, Field(ge=1, le=1024)] | None = None
    max_new_tokens: Annotated[int, Field(ge=1, le=1 << 20)] | None = None
    engine: Literal["hf", "vllm"] | None = None


@router.get(
    "/runs/{run_id}/evaluations",
    tags=["runs"],
    dependencies=[needs("read")],
    responses=answers(evaluation.Evaluations),
)
def get_evaluations(run_id: Id, service: ServiceDep) -> Json:
    """Return the scores of the run's checkpoints and the latest paired comparison."""
    with service.database.read() as tx:
        data = RunData(tx, run_or_404(tx, run_id))
        return {
            "evaluations": evaluation.scores(data),
            "comparison": evaluation.comparison(data),
        }


@router.post(
    "/runs/{run_id}/evaluate",
    tags=["runs"],
    status_code=202,
    dependencies=[needs("control")],
    responses=answers(evaluation.Job, 409, status=202),
)
def evaluate_run(
    run_id: Id,
    service: ServiceDep,
    grant: GrantDep,
    request: EvaluateRequest | None = None,
    key: IdempotencyKey = None,
) -> Json:
    """Queue the evaluation of the candidates, or of the checkpoints named."""
    asked = request or EvaluateRequest()

    def act(tx: Transaction) -> Json:
        job = evaluate.asked_for(
            tx,
            run_id,
            service.clock(),
            grant.name,
            only=asked.checkpoints,
            recipe_given=asked.recipe_given,
            asked=asked.model_dump(include={*evaluate.ASKED, "samples_per_problem"}),
        )
        return evaluation.job(job)

    return service.idempotent(key, ["evaluate", run_id, asked.model_dump()], act)
