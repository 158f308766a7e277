"""Errors as RFC 9457 problem details: a sentence with the value and the way out."""

from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match

from cusp.roles.assign import RoleError
from monitor.database.engine import Unavailable
from monitor.errors import (
    AddressRefused,
    AliasMoved,
    Conflict,
    Deleted,
    Forbidden,
    LeaseLost,
    NotFound,
    Purged,
    QuotaExceeded,
    Undeletable,
    UnknownRun,
)
from monitor.store.runs import AttemptTaken
from webui import pages

_METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")


def problem(status: int, title: str, detail: str, **more: Any) -> JSONResponse:
    """Return the answer for an error."""
    content = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
    return JSONResponse(content, status, media_type="application/problem+json")


def install(app: FastAPI) -> None:
    """Make every error of ours, and FastAPI's own, a problem document."""

    def known(kind: type[Exception], status: int, title: str) -> None:
        def answer(request: Request, error: Exception) -> Response:
            return _answer(request, status, title, str(error.args[0]) if error.args else title)

        app.add_exception_handler(kind, answer)

    known(NotFound, 404, "Not found")
    known(Forbidden, 403, "Not allowed")
    known(UnknownRun, 404, "Unknown run")
    known(AliasMoved, 409, "Alias moved")
    known(AttemptTaken, 409, "Attempt taken")
    known(LeaseLost, 409, "Lease lost")
    known(Conflict, 409, "Conflict")
    known(RoleError, 422, "Invalid roles")
    known(QuotaExceeded, 409, "Full")
    known(Undeletable, 409, "Conflict")
    known(Deleted, 409, "Deleted")
    known(Purged, 410, "Purged")
    known(AddressRefused, 409, "Address refused")
    for unavailable in Unavailable:
        app.add_exception_handler(unavailable, _not_ready)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _plain)
    app.add_exception_handler(Exception, _defect)


def _answer(request: Request, status: int, title: str, detail: str) -> Response:
    """Return a page to a browser that asked for one, else a problem document."""
    if _wants_a_page(request):
        return HTMLResponse(pages.error_page(status, title, detail), status)
    return problem(status, title, detail)


def _wants_a_page(request: Request) -> bool:
    page = "text/html" in request.headers.get("accept", "")
    return page and not request.scope["path"].startswith("/api/")


def _not_ready(request: Request, error: Exception) -> Response:
    answer = _answer(request, 503, "Not ready", "the database does not answer; try again")
    answer.headers["Retry-After"] = "1"
    return answer


def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    if first["loc"][:2] == ("path", "run_id") and _wants_a_page(request):  # a link that was cut
        return _answer(
            request, 404, "Not found", f"there is no run {str(first['input'])[:60]!r} here"
        )
    # Of a choice of values pydantic adds how it is written in Python.
    place = ".".join(str(part) for part in first["loc"] if not str(part).startswith("literal["))
    return _answer(request, 422, "Invalid request", f"{place}: {first['msg']}")


def _plain(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    answer = _answer(request, error.status_code, "Not possible", str(error.detail))
    answer.headers.update(error.headers or {})
    if error.status_code == 405:
        answer.headers["Allow"] = ", ".join(_methods(request))
    return answer


def _methods(request: Request) -> list[str]:
    """Return the methods of all routes at the request's path; Starlette names those of one alone.

    Asked of the routes themselves: how FastAPI keeps those of an included router has changed twice.
    """
    return [
        method
        for method in _METHODS
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL
            for route in request.app.routes
        )
    ]


def _defect(request: Request, error: Exception) -> Response:
    """Answer for a defect of ours; what happened is in the log, not in the answer."""
    return _answer(request, 500, "Defect", "the monitor failed on this; its log says how")
