"""Problems on which two checkpoints differ, and the rows of an evaluation, a page at a time."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import AfterValidator

from cusp.protocol.fields import MAX_NAME_LENGTH, NO_NUL, Id, storable
from cusp.protocol.scored import MAX_SAMPLE
from monitor.actions.require import run_or_404
from monitor.api.dependencies import ServiceDep
from monitor.api.openapi import answers
from monitor.api.permissions import needs
from monitor.errors import NotFound
from monitor.schemas.base import Json
from monitor.schemas.scores import differences, rows
from monitor.store.scores import evaluations, scored_rows

router = APIRouter(tags=["runs"])

MOST_TEXTS = 100  # rows with their texts, of 20,000 characters each at most: 2 MB
_NAME = {"min_length": 1, "max_length": MAX_NAME_LENGTH, "json_schema_extra": NO_NUL}


def _sample_in_range(after: str) -> str:
    """Return the place; ValueError for a sample that the database's small integers do not hold."""
    if int(after.partition(":")[0]) > MAX_SAMPLE:
        raise ValueError(f"samples are at most {MAX_SAMPLE}")
    return after


Split = Literal["selection", "report"]
StepOf = Annotated[
    int, Query(ge=0, le=2**53, description="step of a checkpoint; 0: the base model")
]
Task = Annotated[
    str,
    Query(**_NAME, description="default: the first one that both were scored on"),
    AfterValidator(storable),
]
AfterProblem = Annotated[
    str, Query(**_NAME, description="`next` of the answer before"), AfterValidator(storable)
]
Problems = Annotated[int, Query(ge=1, le=50, description="how many problems at most")]
Samples = Annotated[int, Query(ge=1, le=8, description="samples of each problem at most")]
AfterRow = Annotated[
    str,
    Query(pattern=r"^[0-9]{1,5}:[^\u0000]{1,200}$", description="`next` of the answer before"),
    AfterValidator(storable),
    AfterValidator(_sample_in_range),
]
Rows = Annotated[int, Query(ge=1, le=MOST_TEXTS, description="how many rows at most")]


@router.get(
    "/runs/{run_id}/evaluations/differences",
    dependencies=[needs("read")],
    responses=answers(differences.Differences),
)
def get_differences(
    run_id: Id,
    service: ServiceDep,
    first: StepOf,
    second: StepOf,
    task: Task | None = None,
    split: Split = "report",
    after: AfterProblem | None = None,
    limit: Problems = 20,
    samples: Samples = 2,
) -> Json:
    """Return the problems on which two checkpoints differ, with question, gold answer and both texts."""
    with service.database.read() as tx:
        run_or_404(tx, run_id)
        return differences.differences(
            tx,
            run_id,
            (first, second),
            task=task,
            split=split,
            after=after,
            limit=limit,
            samples=samples,
        )


@router.get(
    "/runs/{run_id}/evaluations/{evaluation_id}/rows",
    dependencies=[needs("read")],
    responses=answers(rows.ScoredRows),
)
def get_rows(
    run_id: Id,
    evaluation_id: Id,
    service: ServiceDep,
    after: AfterRow | None = None,
    limit: Rows = MOST_TEXTS,
) -> Json:
    """Return the rows of an evaluation with their texts, by problem and sample."""
    sample, _, problem = (after or "-1:").partition(":")
    with service.database.read() as tx:
        run_or_404(tx, run_id)
        found = evaluations.get(tx, evaluation_id)
        if found is None or found.run_id != run_id:
            raise NotFound(f"run {run_id} has no evaluation {evaluation_id!r}")
        page = scored_rows.page(tx, evaluation_id, (problem, int(sample)), limit + 1)
        last = page[limit - 1] if len(page) > limit else None
        return {
            "rows": [rows.scored_row(row) for row in page[:limit]],
            "next": last and f"{last.sample}:{last.problem_id}",
        }
