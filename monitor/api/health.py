"""Is the process alive, can it work, what has it done."""

from typing import Any

from fastapi import APIRouter, Response

from monitor import shapes
from monitor.access import needs
from monitor.measures import CONTENT_TYPE
from monitor.openapi import answers
from monitor.service import ServiceDep
from monitor.store.database import DatabaseError

router = APIRouter(tags=["health"])


@router.get("/healthz", responses=answers(shapes.Health))
def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get(
    "/readyz",
    responses={
        **answers(shapes.Health),
        503: {"model": shapes.Health, "description": "the database does not answer"},
    },
)
def readyz(service: ServiceDep, response: Response) -> dict[str, Any]:
    """The database answers too."""
    try:
        service.database.check()
    except DatabaseError as error:
        response.status_code = 503
        return {"status": "not ready", "detail": str(error)}
    return {"status": "ok"}


@router.get(
    "/metrics",
    dependencies=[needs("read")],
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "Prometheus' text format"}},
)
def metrics(service: ServiceDep) -> Response:
    """Counters of this process, jobs and commands of all."""
    return Response(service.measures.text(), media_type=CONTENT_TYPE)
