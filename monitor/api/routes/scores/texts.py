"""What the worker of a job brings after the scores: the texts of the rows, and the problems of a task."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from cusp.protocol.fields import NUMBER, Body, Id, Name, Step
from cusp.protocol.scored import MAX_SAMPLE, LongText, PostedProblem
from monitor.actions.scores import brought
from monitor.api.dependencies import ServiceDep
from monitor.api.openapi import answers
from monitor.api.permissions import needs
from monitor.api.routes.jobs import Token
from monitor.api.routes.scores.differences import Split
from monitor.schemas.base import Json
from monitor.schemas.scores import rows

router = APIRouter(tags=["jobs"])

MOST_OF_A_PORTION = 2_000
# problem id, sample, completion, what the judge read in it (null: nothing)
TextRow = tuple[
    Name,
    Annotated[int, Field(ge=0, le=MAX_SAMPLE), NUMBER],
    LongText | None,
    LongText | None,
]


class RowTexts(Body):
    """Texts of the evaluation that the job brought of this step, task and split; with the right to bring them."""

    token: Token
    step: Step
    task: Name
    split: Split
    rows: Annotated[list[TextRow], Field(max_length=MOST_OF_A_PORTION)]


class TaskProblems(Body):
    """The problems of a task that the job's run is scored on."""

    token: Token
    task: Name
    problems: Annotated[list[PostedProblem], Field(max_length=MOST_OF_A_PORTION)]


@router.post(
    "/jobs/{job_id}/evaluations/texts",
    dependencies=[needs("control")],
    responses=answers(rows.StoredTexts, 409),
)
def post_texts(job_id: Id, texts: RowTexts, service: ServiceDep) -> Json:
    """Store completions and answers of rows that are there; a repeat changes nothing."""
    names = ("problem_id", "sample", "text", "answer")
    told = [dict(zip(names, row, strict=True)) for row in texts.rows]
    place = (texts.step, texts.task, texts.split)
    with service.database.write() as tx:
        kept = brought.take_texts(tx, job_id, texts.token, service.clock(), place, told)
    return kept._asdict()


@router.post(
    "/jobs/{job_id}/problems",
    dependencies=[needs("control")],
    responses=answers(rows.StoredProblems, 409),
)
def post_problems(job_id: Id, given: TaskProblems, service: ServiceDep) -> Json:
    """Store the questions and gold answers of a task; the newest word on a problem counts."""
    problems = [one.model_dump() for one in given.problems]
    with service.database.write() as tx:
        return {"stored": brought.take_problems(tx, job_id, given.token, given.task, problems)}
