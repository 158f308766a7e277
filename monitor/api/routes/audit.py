"""The audit log of the whole monitor."""

from typing import Any

from fastapi import APIRouter

from cusp.protocol.fields import Id
from monitor.api.dependencies import ServiceDep
from monitor.api.openapi import answers
from monitor.api.permissions import needs
from monitor.schemas import access
from monitor.schemas.base import Json, Shape
from monitor.store.access import audit

router = APIRouter(tags=["runs"])


class AuditRow(Shape):
    id: str
    at: str
    run_id: str | None
    actor: str
    action: str
    target: str
    detail: Json


class AuditLog(Shape):
    audit: list[AuditRow]


@router.get("/audit", dependencies=[needs("admin")], responses=answers(AuditLog))
def get_whole_audit(service: ServiceDep, before: Id | None = None, requests: bool = False) -> Json:
    """Return who did what, newest first: on every run, purged ones too, and on none.

    At most 500 rows; `before` is the last id of the answer before. With `requests` every acting
    request has a row, too, with its status, refused ones included; `detail.from` is the address.
    """
    with service.database.read() as tx:
        return {
            "audit": [_act_of(row) for row in audit.newest(tx, before=before, requests=requests)]
        }


def _act_of(row: Any) -> Json:
    return {"id": row.id, "run_id": row.run_id, **access.audit_entry(row)}
