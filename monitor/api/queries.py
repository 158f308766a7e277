"""Query parameters that several routes take."""

from typing import Annotated

from fastapi import Query
from pydantic import AfterValidator

from cusp.wire import MAX_NAME_LENGTH, NO_NUL, storable

# An empty one is no name, and finds nothing.
Project = Annotated[
    str,
    Query(max_length=MAX_NAME_LENGTH, json_schema_extra=NO_NUL, description="of this project only"),
    AfterValidator(storable),
]
