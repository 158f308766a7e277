"""Errors in /openapi.json, and the additional responses that a route declares.

Errors are RFC 9457 problem documents. Those that follow from a route's form are declared here for every
route, so that none is forgotten: a token can be missing, a body too large, a database away. A route
declares the others itself: `responses=answers(Command, 409)`.
"""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from cusp.protocol.fields import PLAIN_JSON, PLAIN_OBJECT
from monitor.schemas.base import Json
from webui.address import PREFIX

MEDIA_TYPE = "application/problem+json"
KEY = "Idempotency-Key"
WORDS = {
    400: "the body is no JSON, or not the gzip it is said to be",
    401: "no token, or one that is unknown or revoked",
    403: "the token does not cover this, or a page of another site asks",
    404: "there is no such thing here",
    409: "the request does not fit what is there",
    410: "the run was purged; nothing of it is here or taken any more",
    413: "the body is too large",
    422: "a value is not as declared, or a query parameter is unknown; `detail` names it",
    429: "too many requests; go on after `Retry-After` seconds",
    503: "the database does not answer; try again",
}
PROBLEM: Json = {
    "title": "Problem",
    "description": "RFC 9457 problem details; `detail` is a sentence with the value and the way out.",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}
_RETRY_AFTER = {
    "Retry-After": {
        "description": "seconds to wait",
        "schema": {"type": "integer", "minimum": 1},
    }
}


def answers(model: Any = None, *errors: int, status: int = 200) -> dict[int | str, Json]:
    """Return a route's `responses`: the shape of its answer (monitor/schemas/run.py), and its own errors."""
    found: dict[int | str, Json] = {code: problem(code) for code in errors}
    return found if model is None else {status: {"model": model}, **found}


def problem(status: int) -> Json:
    """Return the OpenAPI response object of an error."""
    schema = {"$ref": "#/components/schemas/Problem"}
    found: Json = {"description": WORDS[status], "content": {MEDIA_TYPE: {"schema": schema}}}
    return found | ({"headers": _RETRY_AFTER} if status in (429, 503) else {})


def install(app: FastAPI) -> None:
    """Make the application's document say which errors each of its routes may answer with."""

    def document() -> Json:
        if app.openapi_schema is None:
            made = get_openapi(title=app.title, version=app.version, routes=app.routes)
            app.openapi_schema = with_errors(made)
        if prefix := PREFIX.get():
            return {**app.openapi_schema, "servers": [{"url": prefix}]}
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def with_errors(document: Json) -> Json:
    """Return the document with the errors that follow from each route's form."""
    for operations in document["paths"].values():
        for operation in operations.values():
            for status in _errors_of(operation):
                operation["responses"].setdefault(str(status), problem(status))
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas |= {"Problem": PROBLEM, "PlainJson": PLAIN_JSON, "PlainObject": PLAIN_OBJECT}
    return document


def _errors_of(operation: Json) -> list[int]:
    """Return the statuses, and forget FastAPI's own word on 422."""
    if "HTTPValidationError" in str(operation["responses"].get("422")):
        del operation["responses"]["422"]
    if "security" not in operation:  # health checks: open to all
        return [422, 429]
    parameters = operation.get("parameters", ())
    places = {parameter["in"] for parameter in parameters}
    found = [401, 403, 429, 503]
    found += [409] if any(each["name"] == KEY for each in parameters) else []  # used before
    found += [404, 410] if "path" in places else []
    found += [422]  # of a query parameter that is unknown, at least
    return found + ([400, 413] if "requestBody" in operation else [])
