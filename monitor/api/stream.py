"""Server-sent events, resumable by cursor."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any, NamedTuple, cast

from anyio import to_thread
from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi.sse import EventSourceResponse, format_sse_event
from starlette.types import Send

from cusp.wire import Id
from monitor.access import GrantDep, needs
from monitor.auth import Grant
from monitor.events import encoded
from monitor.service import Service, ServiceDep, run_or_404

router = APIRouter(tags=["events"])
MOST = 2**53  # the greatest cursor that JSON's numbers hold exactly, and far beyond any there is
After = Annotated[int, Query(ge=0, le=MOST, description="cursor to go on from")]
LastEventId = Annotated[str | None, Header(alias="Last-Event-ID", max_length=32)]
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
            if bounded and not await to_thread.run_sync(service.tokens.stands, grant):
                return
            yield content
