"""What a run sent that could not be taken, to look into and to send again."""

import json
from collections.abc import Iterator

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from cusp.wire import Id
from monitor import views
from monitor.access import needs
from monitor.service import Service, ServiceDep, run_or_404
from monitor.store import quarantine, runs

router = APIRouter(tags=["runs"])
MEDIA_TYPE = "application/x-ndjson"
_PAGE = 500
_ANSWER = {"description": "one JSON object a line", "content": {MEDIA_TYPE: {}}}


@router.get(
    "/runs/{run_id}/quarantine",
    dependencies=[needs("read")],
    response_class=StreamingResponse,
    responses={200: _ANSWER},
)
def get_quarantine(run_id: Id, service: ServiceDep) -> StreamingResponse:
    """Return the messages that were set aside, oldest first, as JSON lines to download.

    Each line is `{"attempt", "seq", "reason", "body", "at"}`; `body` is the message as it was sent, as
    text of at most 4,096 characters.
    """
    with service.database.read() as tx:
        run_or_404(tx, run_id)
    name = f"{run_id}-set-aside.jsonl"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(_lines(service, run_id), media_type=MEDIA_TYPE, headers=headers)


def _lines(service: Service, run_id: str) -> Iterator[str]:
    place = (-1, -1)
    while True:
        with service.database.read() as tx:
            numbers = views.attempt_numbers(runs.attempts_of(tx, run_id))
            found = quarantine.after(tx, run_id, place, _PAGE)
        for row in found:
            yield json.dumps(views.set_aside(row, numbers)) + "\n"
        if len(found) < _PAGE:
            return
        place = (found[-1].attempt_key, found[-1].seq)
