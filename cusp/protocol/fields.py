"""Field types and limits of the wire protocol."""

import json
import reprlib
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from cusp.ids import ULID_PATTERN

MAX_MESSAGES = 5_000
MAX_METRICS = 512
MOST_FIELDS = 100  # of a request body
MAX_NAME_LENGTH = 200
MAX_TEXT_LENGTH = 32_768
MAX_STEP = 2**53
MAX_INTEGER = 2**1000  # fits a float
MAX_SKIPPED = 100_000
MAX_PROBLEMS = 1_024  # of a verification
MAX_VERIFIED = 16  # sets of weights that a verification compares
MAX_TAGS = 32
MAX_PATH_LENGTH = 1_000
MAX_DEPTH = 64  # nesting of lists and objects; JSON readers may stop at a few hundred


def storable(text: str) -> str:
    """Return the text; ValueError for characters that PostgreSQL cannot store (NUL, lone surrogates)."""
    if "\0" in text:
        raise ValueError("text must not hold a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("text must be valid Unicode, without lone surrogates") from None
    return text


def storable_text(text: str) -> str:
    r"""Return the text with a question mark for each character that PostgreSQL cannot store.

    >>> storable_text("a\0b\ud800")
    'a?b?'
    """
    return text.replace("\0", "?").encode("utf-8", "replace").decode()


def _storable_object(value: dict[str, Any]) -> dict[str, Any]:
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"must be plain JSON: {error}") from None
    storable(text)
    if "\\u0000" in text:
        raise ValueError("text must not hold a NUL character")
    if _deeper_than(value, MAX_DEPTH):
        raise ValueError(f"lists and objects may lie in each other {MAX_DEPTH} deep, not deeper")
    return value


def _deeper_than(value: object, depth: int) -> bool:
    """Return whether lists and objects are nested deeper than `depth`. Iterative."""
    layer = [value]
    for _ in range(depth):
        layer = [
            inner
            for one in layer
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
    return any(isinstance(one, dict | list) for one in layer)


def _number(value: Any) -> Any:
    """Reject values that pydantic would coerce to a number: booleans and strings."""
    if isinstance(value, bool | str | bytes):
        raise ValueError(f"must be a number, not {type(value).__name__}")
    return value


# JSON Schema's version of `storable` and `_storable_object`; named, as it is recursive.
NO_NUL = {"pattern": "^[^\\u0000]*$"}
PLAIN_JSON: dict[str, Any] = {
    "description": "JSON without a NUL character in any string",
    "anyOf": [
        {"type": ["null", "boolean", "number"]},
        {"type": "string", **NO_NUL},
        {"type": "array", "items": {"$ref": "#/components/schemas/PlainJson"}},
        {"$ref": "#/components/schemas/PlainObject"},
    ],
}
PLAIN_OBJECT: dict[str, Any] = {
    "type": "object",
    "propertyNames": NO_NUL,
    "additionalProperties": {"$ref": "#/components/schemas/PlainJson"},
}
Id = Annotated[str, Field(pattern=ULID_PATTERN)]
Name = Annotated[
    str,
    Field(min_length=1, max_length=MAX_NAME_LENGTH, json_schema_extra=NO_NUL),
    AfterValidator(storable),
]
Text = Annotated[
    str, Field(max_length=MAX_TEXT_LENGTH, json_schema_extra=NO_NUL), AfterValidator(storable)
]
PathText = Annotated[
    str,
    Field(min_length=1, max_length=MAX_PATH_LENGTH, json_schema_extra=NO_NUL),
    AfterValidator(storable),
]
# For a dict keyed by names. Pydantic writes a key's pattern as `patternProperties`, which allows other keys.
NAMED = {"propertyNames": {"minLength": 1, "maxLength": MAX_NAME_LENGTH, **NO_NUL}}
Object = Annotated[dict[str, Any], AfterValidator(_storable_object), WithJsonSchema(PLAIN_OBJECT)]
# Goes after `Field`, or the limits are missing in the JSON schema.
NUMBER = BeforeValidator(_number)
Step = Annotated[int, Field(ge=0, le=MAX_STEP), NUMBER]
Finite = Annotated[float, Field(allow_inf_nan=False), NUMBER]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False), NUMBER]
Positive = Annotated[int, Field(ge=1, le=MAX_STEP), NUMBER]
Version = Annotated[Literal[1], NUMBER]


class Body(BaseModel):
    """Base of every request body: no unknown field, no NaN.

    Too many fields are refused before each of them is looked at and complained of: 600,000 unknown
    ones took 5 s of processor time.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _few_fields(cls, raw: Any) -> Any:
        if isinstance(raw, dict) and len(raw) > MOST_FIELDS:
            raise ValueError(f"an object of {len(raw)} fields; there can be {MOST_FIELDS}")
        return raw


class Wire(Body):
    """Base of every message: a body that is immutable."""

    model_config = ConfigDict(frozen=True)


def first_problem(error: ValidationError) -> str:
    """Return the first problem of a validation error as a sentence with the field and the value."""
    problem = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in problem["loc"]) or "message"
    value = reprlib.repr(problem.get("input"))  # the value may be of any depth and length
    return (
        f"{field[:200]}: {problem['msg']} (got {value if len(value) <= 80 else value[:77] + '...'})"
    )
