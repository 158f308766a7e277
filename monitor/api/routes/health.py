"""Is the process alive, can it work, what has it done."""

import asyncio
import threading
from concurrent.futures import Future
from typing import Any

from anyio import move_on_after
from fastapi import APIRouter, Request, Response

from monitor.api.dependencies import ServiceDep
from monitor.api.openapi import answers
from monitor.api.permissions import needs
from monitor.database.engine import Database, DatabaseError
from monitor.prometheus import CONTENT_TYPE
from monitor.schemas import run

router = APIRouter(tags=["health"])

WITHIN_S = 3.0


@router.get("/healthz", responses=answers(run.Health))
async def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get(
    "/readyz",
    responses={
        **answers(run.Health),
        503: {"model": run.Health, "description": "the database does not answer"},
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


class Readiness:
    """Asks in a thread of its own, one question at a time: a hanging database holds no other thread."""

    def __init__(self, database: Database, within_s: float = WITHIN_S) -> None:
        self._database = database
        self._within_s = within_s
        self._asked: Future[str | None] | None = None

    async def trouble(self) -> str | None:
        """Return why the database cannot be used, or None."""
        if self._asked is None or self._asked.done():
            self._asked = Future()
            threading.Thread(target=self._ask, args=(self._asked,), daemon=True).start()
        with move_on_after(self._within_s):
            return await asyncio.shield(asyncio.wrap_future(self._asked))
        return f"the database has not answered within {self._within_s:g} s"

    def _ask(self, answer: "Future[str | None]") -> None:
        try:
            self._database.check()
        except DatabaseError as error:
            answer.set_result(str(error))
        else:
            answer.set_result(None)
