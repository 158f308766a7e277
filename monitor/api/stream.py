"""Server-sent events, resumable by cursor."""

from collections.abc import AsyncIterable
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Header, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent

from cusp.wire import Id
from monitor import events
from monitor.access import GrantDep, needs
from monitor.service import ServiceDep, run_or_404

router = APIRouter(tags=["events"])
MOST = 2**53  # the greatest cursor that JSON's numbers hold exactly, and far beyond any there is
After = Annotated[int, Query(ge=0, le=MOST, description="cursor to go on from")]
LastEventId = Annotated[str | None, Header(alias="Last-Event-ID", max_length=32)]


@router.get(
    "/events", response_class=EventSourceResponse, dependencies=[needs("read", filters=True)]
)
async def all_events(service: ServiceDep, grant: GrantDep) -> AsyncIterable[ServerSentEvent]:
    """Stream a summary of every run that changes."""
    yield ServerSentEvent(comment="open", retry=1000)
    async for cursor, kind, data in events.of_all(service.hub, service.summary):
        if not await to_thread.run_sync(service.tokens.stands, grant):
            return
        if grant.reaches(data["id"], data["project"]):
            yield _sent(cursor, kind, data)


def known_run(run_id: Id, service: ServiceDep) -> str:
    """Return the id of a run that is there; found out before the stream begins, to answer 404."""
    with service.database.read() as tx:
        run_or_404(tx, run_id)
    return run_id


@router.get(
    "/runs/{run_id}/events", response_class=EventSourceResponse, dependencies=[needs("read")]
)
async def run_events(
    run_id: Annotated[str, Depends(known_run)],
    service: ServiceDep,
    grant: GrantDep,
    after: After = 0,
    last_event_id: LastEventId = None,
) -> AsyncIterable[ServerSentEvent]:
    """Stream every change of the run after a cursor, for ever; `Last-Event-ID` wins over `after`."""
    resumed = last_event_id and last_event_id.isdecimal()
    cursor = min(int(last_event_id or 0), MOST) if resumed else after
    yield ServerSentEvent(comment="open", retry=1000)
    stream = events.of_run(service.hub, service.database, run_id, cursor, service.summary)
    async for number, kind, data in stream:
        if not await to_thread.run_sync(service.tokens.stands, grant):
            return
        yield _sent(number, kind, data)


def _sent(cursor: int | None, kind: str, data: object) -> ServerSentEvent:
    return ServerSentEvent(id=None if cursor is None else str(cursor), event=kind, data=data)
