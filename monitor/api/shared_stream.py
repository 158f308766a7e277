"""The stream that all tabs of a browser share."""

import re
from collections.abc import AsyncGenerator, Sequence
from typing import Annotated, Any, NamedTuple

from anyio import to_thread
from fastapi import APIRouter, Query, Response

from cusp import __version__
from cusp.ids import new_id
from monitor.access import GrantDep, check_run, needs
from monitor.api.stream import HEADERS, MOST, STREAM, Stream, while_it_stands
from monitor.auth import Grant
from monitor.deletion import Purged
from monitor.problems import Forbidden, NotFound
from monitor.service import Service, ServiceDep, run_or_404
from monitor.shared_stream import TABLE, event, merged
from monitor.store import installation
from monitor.store.database import Transaction

router = APIRouter(tags=["events"])
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
