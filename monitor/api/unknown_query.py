"""Query parameters that a REST route does not know are refused: `?projekt=a` must not list every project."""

from difflib import get_close_matches
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError


async def refuse_unknown_query(request: Request) -> None:
    """Raise RequestValidationError, a 422 that names the parameter and those that the route knows.

    Pages let others by: mail and chat programs add parameters of their own to a link.
    """
    route = request.scope.get("route")
    if not request.scope["query_string"] or not getattr(route, "include_in_schema", True):
        return
    known = _names(getattr(route, "dependant", None))
    unknown = sorted(set(request.query_params) - known)
    if not unknown:
        return
    name = unknown[0][:100]
    near = get_close_matches(name, known, 1)
    meant = f"did you mean {near[0]!r}? " if near else ""
    takes = f"known are {', '.join(sorted(known))}" if known else "this takes none"
    message = f"there is no such parameter; {meant}{takes}"
    raise RequestValidationError([{"type": "extra", "loc": ("query", name), "msg": message}])


def _names(dependant: Any) -> set[str]:
    """Return the query parameters of a route and of everything it depends on."""
    if dependant is None:
        return set()
    found = {field.alias for field in dependant.query_params}
    return found.union(*(_names(one) for one in dependant.dependencies))
