"""Server-sent events, resumable by cursor."""

import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Annotated, Any, NamedTuple, cast

from anyio import to_thread
from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi.sse import EventSourceResponse, format_sse_event
from starlette.types import Send

from cusp import __version__
from cusp.ids import new_id
from cusp.protocol.fields import Id
from monitor.actions.require import run_or_404
from monitor.api.dependencies import ServiceDep
from monitor.api.permissions import GrantDep, check_run, needs
from monitor.auth.grants import Grant
from monitor.database import installation
from monitor.database.engine import Transaction
from monitor.errors import Forbidden, NotFound, Purged
from monitor.live.browser_stream import TABLE, event, merged
from monitor.live.changes import encoded
from monitor.services import Service

router = APIRouter(tags=["events"])

MOST = 2**53  # the greatest cursor that JSON's numbers hold exactly, and far beyond any there is
After = Annotated[int, Query(ge=0, le=MOST, description="cursor to go on from")]
LastEventId = Annotated[str | None, Header(alias="Last-Event-ID", max_length=32)]
MOST_RUNS = 100
PROCESS = new_id()  # another after every start of the monitor
_PLACE = re.compile(r"([0-9A-HJKMNP-TV-Z]{26}):(\d{1,16})")
Places = Annotated[
    Sequence[Annotated[str, Query(pattern=f"^{_PLACE.pattern}$")]],
    Query(
        alias="run",
        max_length=MOST_RUNS,
        description="RUN_ID:CURSOR, for each run to follow from that cursor on",
    ),
]
Table = Annotated[bool, Query(description="whether the summaries of all runs are sent, too")]
OPENED = format_sse_event(comment="open", retry=1000)
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
_EVENT = {
    "type": "object",
    "properties": {
        "data": {"type": "string"},
        "event": {"type": "string"},
        "id": {"type": "string"},
        "retry": {"type": "integer", "minimum": 0},
    },
}
STREAM: dict[int | str, dict[str, Any]] = {
    200: {"content": {EventSourceResponse.media_type: {"itemSchema": _EVENT}}}
}


class Stream(EventSourceResponse):
    """Encoded events. Their generator is closed with the connection, not when it is collected."""

    async def stream_response(self, send: Send) -> None:
        """Send until the viewer leaves or there is no more."""
        async with aclosing(cast("AsyncGenerator[bytes]", self.body_iterator)):
            await super().stream_response(send)


@router.get(
    "/events",
    response_class=Response,
    responses=STREAM,
    dependencies=[needs("read", filters=True)],
)
async def all_events(service: ServiceDep, grant: GrantDep, after: After = 0) -> Stream:
    """Stream a summary of every run that changes; it has no memory, whatever `after` says."""
    found = service.table.follow(grant.reaches)
    return Stream(while_it_stands(service, grant, found), headers=HEADERS)


class Known(NamedTuple):
    """A run that is there, and the cursor of its last change."""

    id: str
    head: int


def known_run(run_id: Id, service: ServiceDep) -> Known:
    """Return a run that is there; found out before the stream begins, to answer 404."""
    with service.database.read() as tx:
        return Known(run_id, int(run_or_404(tx, run_id).cursor))


@router.get(
    "/runs/{run_id}/events",
    response_class=Response,
    responses=STREAM,
    dependencies=[needs("read")],
)
async def run_events(
    run: Annotated[Known, Depends(known_run)],
    service: ServiceDep,
    grant: GrantDep,
    after: After = 0,
    last_event_id: LastEventId = None,
) -> Stream:
    """Stream every change of the run after a cursor, for ever; `Last-Event-ID` wins over `after`.

    A cursor beyond the last change, of a page older than a restored backup, begins with a `reset`.
    """
    resumed = last_event_id and last_event_id.isdecimal()
    cursor = min(int(last_event_id or 0), MOST) if resumed else after
    found = service.channels.follow(run.id, min(cursor, run.head))
    opened = OPENED
    if cursor > run.head:
        opened += encoded(run.head, "reset", {"run": run.id, "cursor": run.head})
    return Stream(while_it_stands(service, grant, found, opened), headers=HEADERS)


async def while_it_stands(
    service: Service, grant: Grant, found: AsyncGenerator[bytes], opened: bytes = OPENED
) -> AsyncGenerator[bytes]:
    """Yield what is found as long as the grant holds: its token not revoked, its session not ended."""
    bounded = grant.token_id or grant.session
    yield opened
    async with aclosing(found):
        async for content in found:
            if bounded and not await to_thread.run_sync(service.tokens.is_valid, grant):
                return
            yield content


class _Opening(NamedTuple):
    """What the stream begins with, and the runs that it follows with their cursors."""

    first: bytes
    follows: dict[str, int]


@router.get(
    "/events/shared",
    response_class=Response,
    responses=STREAM,
    dependencies=[needs("read", filters=True)],
)
async def shared_events(
    service: ServiceDep,
    grant: GrantDep,
    run: Places = (),
    table: Table = False,
) -> Stream:
    """Stream the changes of several runs, each from a cursor, and of the runs table: one for a browser."""
    asked = {place[:26]: min(int(place[27:]), MOST) for place in run}
    opening = await to_thread.run_sync(_opening, service, grant, asked)
    sources: dict[str, AsyncGenerator[bytes]] = {
        run_id: service.channels.follow(run_id, cursor)
        for run_id, cursor in opening.follows.items()
    }
    if table:
        sources[TABLE] = service.table.follow(grant.reaches)
    found = merged(sources, opening.first, lambda: event("now", now=_now_ms(service)))
    return Stream(while_it_stands(service, grant, found), headers=HEADERS)


def _opening(service: Service, grant: Grant, asked: dict[str, int]) -> _Opening:
    follows: dict[str, int] = {}
    told: list[bytes] = []
    with service.database.read() as tx:
        database = installation.database_id(tx)
        for run_id, cursor in asked.items():
            try:
                head = _head(tx, grant, run_id)
            except (NotFound, Purged, Forbidden) as error:
                told.append(event("gone", run=run_id, detail=str(error)))
                continue
            if cursor > head:  # the page is of a later state: a backup was restored
                told.append(event("reset", run=run_id, cursor=head))
            follows[run_id] = min(cursor, head)
    known: dict[str, Any] = {"database": database, "process": PROCESS, "version": __version__}
    return _Opening(event("monitor", **known, now=_now_ms(service)) + b"".join(told), follows)


def _head(tx: Transaction, grant: Grant, run_id: str) -> int:
    """Return the cursor of the run's last change; raises what keeps it from being followed."""
    check_run(tx, grant, run_id)
    return int(run_or_404(tx, run_id).cursor)


def _now_ms(service: Service) -> int:
    return round(1000 * service.clock())
