"""Is the process alive, can it work, what has it done."""

from typing import Any

from fastapi import APIRouter, Request, Response

from monitor import shapes
from monitor.access import needs
from monitor.measures import CONTENT_TYPE
from monitor.openapi import answers
from monitor.readiness import Readiness
from monitor.service import ServiceDep

router = APIRouter(tags=["health"])


@router.get("/healthz", responses=answers(shapes.Health))
async def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get(
    "/readyz",
    responses={
        **answers(shapes.Health),
        503: {"model": shapes.Health, "description": "the database does not answer"},
    },
)
async def readyz(request: Request, response: Response) -> dict[str, Any]:
    """The database answers too, and soon."""
    readiness: Readiness = request.app.state.readiness
    trouble = await readiness.trouble()
    if trouble is None:
        return {"status": "ok"}
    response.status_code = 503
    return {"status": "not ready", "detail": trouble}


@router.get(
    "/metrics",
    dependencies=[needs("read")],
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "Prometheus' text format"}},
)
def metrics(service: ServiceDep) -> Response:
    """Counters of this process, jobs and commands of all."""
    return Response(service.measures.text(), media_type=CONTENT_TYPE)
