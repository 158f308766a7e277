"""The rows of a run's evaluations to download."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from cusp.protocol.fields import Id
from monitor.actions.require import run_or_404
from monitor.api.dependencies import ServiceDep
from monitor.api.openapi import problem
from monitor.api.permissions import needs
from monitor.schemas.scores import exports
from monitor.services import Service
from monitor.store.scores import evaluations, scored_rows

router = APIRouter(tags=["runs"])

_ROWS = 500  # of which each may have 20,000 characters of text
Format = Annotated[Literal["csv", "jsonl", "parquet"], Query(description="of the file")]
_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "a line a row, with the names of exports.COLUMNS",
        "content": {kind.partition(";")[0]: {} for kind in exports.MEDIA_TYPES.values()},
    },
    409: problem(409),
}


@router.get(
    "/runs/{run_id}/evaluations/export",
    dependencies=[needs("read")],
    response_class=StreamingResponse,
    responses=_ANSWER,
)
def export_rows(run_id: Id, service: ServiceDep, format: Format = "csv") -> StreamingResponse:
    """Return all rows, of the newest evaluation of each step, task and set, as a file."""
    with service.database.read() as tx:
        run_or_404(tx, run_id)
        found = evaluations.with_rows(tx, run_id)
    written = exports.writer(format)(_portions(service, found))
    name = f"{run_id}-scores.{format}"
    return StreamingResponse(
        written,
        media_type=exports.MEDIA_TYPES[format],
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _portions(service: Service, found: Any) -> Iterator[list[dict[str, Any]]]:
    for evaluation in found:
        after = ("", -1)
        while True:
            with service.database.read() as tx:
                rows = scored_rows.page(tx, evaluation.id, after, _ROWS)
            if rows:
                yield [exports.exported(evaluation, row) for row in rows]
                after = (rows[-1].problem_id, rows[-1].sample)
            if len(rows) < _ROWS:
                break
