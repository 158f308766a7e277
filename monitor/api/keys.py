"""The Idempotency-Key header of acting requests."""

from typing import Annotated

from fastapi import Header

from monitor.api.openapi import KEY

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias=KEY,
        min_length=1,
        max_length=200,
        pattern=r"^[ -~]+$",
        description="a repeat with the same key gets the same answer and acts only once",
    ),
]
