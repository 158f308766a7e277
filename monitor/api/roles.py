"""Telling the roles of a run: which logged key is its format reward, its accuracy, its length."""

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field

from cusp.wire import NAMED, Body, Id, Name
from monitor import shapes
from monitor.access import GrantDep, needs
from monitor.openapi import answers
from monitor.retell import retell
from monitor.service import ServiceDep, run_or_404

router = APIRouter(tags=["runs"])


class RunChange(Body):
    """What to change of a run. `roles` takes the place of all that was told before; `{}` means the rules."""

    roles: Annotated[
        dict[Name, Annotated[list[Name], Field(max_length=64)]],
        Field(max_length=16, json_schema_extra=NAMED),
    ]


@router.patch(
    "/runs/{run_id}",
    dependencies=[needs("control")],
    responses=answers(shapes.Run, 409, 410),
)
def change_run(
    run_id: Id, change: RunChange, service: ServiceDep, grant: GrantDep
) -> dict[str, Any]:
    """Tell the roles of a run: its verdicts are made anew from the points that are there."""
    folds = service.ingest.folds
    with service.database.write() as tx:
        run = run_or_404(tx, run_id, locked=True)
        state = retell(tx, run, folds, change.roles, service.clock(), grant.name)
    if state is not None:
        folds.put(run_id, state)
        service.changed(run_id)
    with service.database.read() as tx:
        return service.detailed(tx, run_or_404(tx, run_id))
