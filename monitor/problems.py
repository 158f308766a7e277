"""Errors as RFC 9457 problem details: a sentence with the value and the way out."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from monitor.ingest import UnknownRun
from monitor.store.checkpoints import AliasMoved
from monitor.store.jobs import LeaseLost


class NotFound(LookupError):
    """There is no such thing; the message names it."""


class Conflict(RuntimeError):
    """The request does not fit what is there; the message says how."""


def problem(status: int, title: str, detail: str, **more: Any) -> JSONResponse:
    """Return the answer for an error."""
    content = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
    return JSONResponse(content, status, media_type="application/problem+json")


def install(app: FastAPI) -> None:
    """Make every error of ours, and FastAPI's own, a problem document."""

    def known(kind: type[Exception], status: int, title: str) -> None:
        def answer(_request: Request, error: Exception) -> JSONResponse:
            return problem(status, title, str(error.args[0]) if error.args else title)

        app.add_exception_handler(kind, answer)

    known(NotFound, 404, "Not found")
    known(UnknownRun, 404, "Unknown run")
    known(AliasMoved, 409, "Alias moved")
    known(LeaseLost, 409, "Lease lost")
    known(Conflict, 409, "Conflict")
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _plain)


def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return problem(422, "Invalid request", f"{place}: {first['msg']}")


def _plain(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, "Error", str(error.detail))
