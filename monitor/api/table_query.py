"""Query parameters of the runs table: its columns of choice, order, group, pinned runs, configuration values."""

from typing import Annotated, Any
from urllib.parse import parse_qs, unquote

from fastapi import Depends, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import AfterValidator

from cusp.ids import is_id
from cusp.protocol.fields import MAX_NAME_LENGTH, NO_NUL, storable
from monitor.store.table.sorting import FIXED, VALUES, Column, Order, column_of, order_of

MOST_COLUMNS = 12
MOST_PINNED = 20
MOST_SKIPPED = 1_000_000
REMEMBERED = "cusp_table"  # cookie with the columns and pins of a person, as a query

_Text = Annotated[
    str,
    Query(max_length=MAX_NAME_LENGTH + 10, json_schema_extra=NO_NUL),
    AfterValidator(storable),
]
# What the parsers below take, for those who read the document of this interface.
_KEY = '[^=\\u0000"\\\\{},]+'
_PAIR = {"pattern": f"^{_KEY}=[^\\u0000]*$"}
_SORT = {"pattern": f"^(-?({'|'.join(FIXED)}|({'|'.join(VALUES)}):[^\\u0000]+|config:{_KEY}))?$"}
_Sort = Annotated[
    str, Query(max_length=MAX_NAME_LENGTH + 10, json_schema_extra=_SORT), AfterValidator(storable)
]
_Pair = Annotated[
    str, Query(max_length=MAX_NAME_LENGTH + 10, json_schema_extra=_PAIR), AfterValidator(storable)
]
_Texts = Annotated[list[_Text] | None, Query(max_length=MOST_PINNED)]


class View:
    """How the table is shown. `group` is a configuration key; `skip` counts runs of a sorted table."""

    def __init__(
        self,
        columns: tuple[Column, ...] = (),
        order: Order | None = None,
        skip: int = 0,
        group: str | None = None,
        pinned: tuple[str, ...] = (),
    ) -> None:
        self.columns, self.order, self.skip = columns, order, skip
        self.group, self.pinned = group, pinned


def order(
    sort: Annotated[
        _Sort | None,
        Query(
            description="a column (`step`, `max:kl`, `config:lr`), `-` before it: the greatest first"
        ),
    ] = None,
) -> Order | None:
    """Return the order asked for; RequestValidationError when there is no such column."""
    try:
        return order_of(sort) if sort else None
    except ValueError as error:
        raise _invalid("sort", error) from None


def config_values(
    config: Annotated[
        list[_Pair] | None,
        Query(max_length=MOST_PINNED, description="`key=value` of the configuration"),
    ] = None,
) -> tuple[tuple[str, str], ...]:
    """Return the configuration values asked for; RequestValidationError when one is no `key=value`."""
    found = []
    for text in config or ():
        key, equals, value = text.partition("=")
        try:
            if not equals:
                raise ValueError(f"{text!r} is not key=value")
            found.append((column_of(f"config:{key}").name, value))
        except ValueError as error:
            raise _invalid("config", error) from None
    return tuple(found)


OrderDep = Annotated[Order | None, Depends(order)]
ConfigDep = Annotated[tuple[tuple[str, str], ...], Depends(config_values)]
Skip = Annotated[
    int, Query(ge=0, le=MOST_SKIPPED, description="how many runs of a sorted list to pass over")
]


def view(
    request: Request,
    order: OrderDep,
    column: _Texts = None,
    pin: _Texts = None,
    group: _Text | None = None,
    skip: Skip = 0,
) -> View:
    """Return how the page shows the table: by its address, and where that says nothing as remembered."""
    known = parse_qs(unquote(request.cookies.get(REMEMBERED, "")))
    columns = _columns(column, strict=True) if column is not None else _columns(known.get("column"))
    pins = pin if pin is not None else known.get("pin", [])
    if group:
        try:
            column_of(f"config:{group}")
        except ValueError as error:
            raise _invalid("group", error) from None
    pinned = tuple(dict.fromkeys(one for one in pins if is_id(one)))[:MOST_PINNED]
    return View(columns, order, skip, group or None, pinned)


ViewDep = Annotated[View, Depends(view)]


def _columns(texts: list[str] | None, *, strict: bool = False) -> tuple[Column, ...]:
    """Return the columns; what is none is an error if `strict`, else left out (an old cookie)."""
    found = []
    for text in filter(None, texts or ()):
        try:
            found.append(column_of(storable(text)))
        except ValueError as error:
            if strict:
                raise _invalid("column", error) from None
    return tuple(dict.fromkeys(found))[:MOST_COLUMNS]


def _invalid(name: str, error: ValueError) -> RequestValidationError:
    problem: dict[str, Any] = {"type": "value", "loc": ("query", name), "msg": str(error)}
    return RequestValidationError([problem])
