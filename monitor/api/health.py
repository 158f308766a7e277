"""Is the process alive, can it work."""

from typing import Any

from fastapi import APIRouter, Response

from monitor.service import ServiceDep
from monitor.store.database import DatabaseError

router = APIRouter(tags=["health"])


@router.get("/healthz")
def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: {"description": "the database does not answer"}})
def readyz(service: ServiceDep, response: Response) -> dict[str, Any]:
    """The database answers too."""
    try:
        service.database.check()
    except DatabaseError as error:
        response.status_code = 503
        return {"status": "not ready", "detail": str(error)}
    return {"status": "ok"}
