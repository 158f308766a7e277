"""Errors as RFC 9457 problem details: a sentence with the value and the way out."""

from collections.abc import Mapping
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

_KNOWN: Mapping[type[Exception], tuple[int, str]] = {
    NotFound: (404, "Not found"),
    Forbidden: (403, "Not allowed"),
    UnknownRun: (404, "Unknown run"),
    AliasMoved: (409, "Alias moved"),
    AttemptTaken: (409, "Attempt taken"),
    LeaseLost: (409, "Lease lost"),
    Conflict: (409, "Conflict"),
    RoleError: (422, "Invalid roles"),
    QuotaExceeded: (409, "Full"),
    Undeletable: (409, "Conflict"),
    Deleted: (409, "Deleted"),
    Purged: (410, "Purged"),
    AddressRefused: (409, "Address refused"),
}
"""Status and title of each error of ours; its sentence is its first argument."""


def problem(status: int, title: str, detail: str, **more: Any) -> JSONResponse:
    """Return the answer for an error."""
    content = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
    return JSONResponse(content, status, media_type="application/problem+json")


def install(app: FastAPI) -> None:
    """Make every error of ours, and FastAPI's own, a problem document."""

    for kind in (*_KNOWN, *Unavailable, Exception):
        app.add_exception_handler(kind, _told)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _plain)


def told(error: Exception) -> tuple[int, str, str]:
    """Return status, title and sentence of an error, FastAPI's own apart.

    Of a defect of ours the sentence says nothing: what happened is in the log, not in the answer.
    """
    for kind in type(error).__mro__:
        if kind in _KNOWN:
            status, title = _KNOWN[kind]
            return status, title, str(error.args[0]) if error.args else title
    if isinstance(error, Unavailable):
        return 503, "Not ready", "the database does not answer; try again"
    return 500, "Defect", "the monitor failed on this; its log says how"


def _told(request: Request, error: Exception) -> Response:
    answer = _answer(request, *told(error))
    if answer.status_code == 503:
        answer.headers["Retry-After"] = "1"
    return answer


def _answer(request: Request, status: int, title: str, detail: str) -> Response:
    """Return a page to a browser that asked for one, else a problem document."""
    if _wants_a_page(request):
        return HTMLResponse(pages.error_page(status, title, detail), status)
    return problem(status, title, detail)


def _wants_a_page(request: Request) -> bool:
    page = "text/html" in request.headers.get("accept", "")
    return page and not request.scope["path"].startswith("/api/")


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
