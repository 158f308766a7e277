"""Query parameters that choose samples, the same for REST and for the page; a form sends empty ones."""

from typing import Annotated, Literal

from fastapi import Depends, Query
from pydantic import AfterValidator

from cusp.protocol.fields import MAX_NAME_LENGTH, NO_NUL, storable
from monitor.runs.sample_choice import Asked

MOST_STEP = 2**53

_Step = Annotated[int, Query(ge=0, le=MOST_STEP)]
_Value = Annotated[float, Query(allow_inf_nan=False)]
_Reward = Annotated[
    str,
    Query(
        max_length=MAX_NAME_LENGTH,
        json_schema_extra=NO_NUL,
        description="with a value of this reward; `least` and `most` are its limits",
    ),
    AfterValidator(storable),
]


def asked(
    first: _Step | Literal[""] | None = None,
    last: _Step | Literal[""] | None = None,
    reward: _Reward | None = None,
    least: _Value | Literal[""] | None = None,
    most: _Value | Literal[""] | None = None,
) -> Asked:
    """Return which samples are asked for: of the steps `first` to `last`, with a reward in its limits."""
    return Asked(
        None if first == "" else first,
        None if last == "" else last,
        reward or None,
        None if least == "" else least,
        None if most == "" else most,
    )


SamplesAskedDep = Annotated[Asked, Depends(asked)]
