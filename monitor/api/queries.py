"""Query parameters that several routes take."""

from typing import Annotated, Literal

from fastapi import Depends, Query
from fastapi.exceptions import RequestValidationError
from pydantic import AfterValidator

from cusp.ids import ULID_PATTERN
from cusp.protocol.fields import MAX_NAME_LENGTH, NO_NUL, storable
from monitor.api.permissions import GrantDep
from monitor.store.run_list import PageCursor, Wanted, place_of

Status = Literal["running", "stopping", "stopped", "finished", "failed", "lost"]
MOST_RUNS = 500

# An empty one is no name, and finds nothing.
Project = Annotated[
    str,
    Query(max_length=MAX_NAME_LENGTH, json_schema_extra=NO_NUL, description="of this project only"),
    AfterValidator(storable),
]
Name = Annotated[
    str,
    Query(max_length=MAX_NAME_LENGTH, json_schema_extra=NO_NUL, description="of this name only"),
    AfterValidator(storable),
]
Search = Annotated[
    str,
    Query(
        max_length=MAX_NAME_LENGTH,
        json_schema_extra=NO_NUL,
        description="words of the name, project or tags, or the beginning of the id",
    ),
    AfterValidator(storable),
]
Meant = Annotated[
    str,
    Query(
        max_length=MAX_NAME_LENGTH,
        json_schema_extra=NO_NUL,
        description="the id, the beginning or end of it, or the whole name",
    ),
    AfterValidator(storable),
]
Limit = Annotated[int, Query(ge=1, le=MOST_RUNS, description="how many at most")]
_Before = Annotated[
    str,
    Query(
        pattern=r"^[0-9]{1,12}(\.[0-9]{1,9})?_" + ULID_PATTERN.strip("^$") + "$",
        description="`next` of the answer before",
    ),
]


def place(before: _Before | None = None) -> PageCursor | None:
    """Return the place that a page goes on before; RequestValidationError when it is none."""
    try:
        return None if before is None else place_of(before)
    except ValueError as error:
        problem = {"type": "value", "loc": ("query", "before"), "msg": str(error)}
        raise RequestValidationError([problem]) from None


BeforeDep = Annotated[PageCursor | None, Depends(place)]


def wanted(
    grant: GrantDep,
    project: Project | None = None,
    name: Name | None = None,
    q: Search | None = None,
    ref: Meant | None = None,
) -> Wanted:
    """Return which runs are asked for, of those that the grant reaches."""
    return Wanted(
        project=project, within=grant.project, only=grant.run_id, name=name, text=q, meant=ref
    )


WantedDep = Annotated[Wanted, Depends(wanted)]
