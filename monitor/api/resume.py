"""Taking a run up again."""

from typing import Any

from fastapi import APIRouter

from cusp.wire import Body, Id, Step
from monitor import resume, shapes, views
from monitor.access import GrantDep, needs
from monitor.api.keys import IdempotencyKey
from monitor.openapi import answers
from monitor.service import ServiceDep, run_or_404
from monitor.store.database import Transaction

router = APIRouter(tags=["runs"])
Json = dict[str, Any]


class ResumeRequest(Body):
    """From which step; none named means where the run ended."""

    step: Step | None = None


@router.post(
    "/runs/{run_id}/resume",
    status_code=202,
    dependencies=[needs("control")],
    responses=answers(shapes.Job, 409, status=202),
)
def resume_run(
    run_id: Id,
    service: ServiceDep,
    grant: GrantDep,
    request: ResumeRequest | None = None,
    key: IdempotencyKey = None,
) -> Json:
    """Queue a `train` job that goes on from a checkpoint; one that waits already is returned."""
    step = request.step if request else None

    def act(tx: Transaction) -> Json:
        run = run_or_404(tx, run_id, locked=True)
        now = service.clock()
        status = views.status_of(tx, run, now, service.config.lost_after_s)
        return views.job(resume.asked_for(tx, run, now, grant.name, status=status, step=step))

    answer = service.once(key, ["resume", run_id, step], act)
    service.changed(run_id)
    return answer
