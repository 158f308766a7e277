"""Workers: what each says of itself, so that a training can be submitted to it."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from cusp.protocol.fields import NUMBER, Body, Name
from monitor.api.dependencies import ServiceDep
from monitor.api.openapi import answers
from monitor.api.permissions import needs
from monitor.schemas import training
from monitor.schemas.base import Json
from monitor.store import boxes

router = APIRouter(tags=["trainings"])

NEXT_S = 30.0


class Presence(Body):
    """A worker, its box, the GPUs it may use and the recipes it can train."""

    name: Name
    box: Name
    gpus: Annotated[int, Field(ge=0, le=1_000_000), NUMBER]
    recipes: Annotated[list[Name], Field(max_length=1_000)]


@router.post("/workers", dependencies=[needs("control")], responses=answers(training.Seen))
def see_worker(presence: Presence, service: ServiceDep) -> Json:
    """Note that a worker is there; it says so again after `next_s` seconds."""
    with service.database.write() as tx:
        boxes.seen(tx, {**presence.model_dump(), "seen_at": service.clock()})
    return {"next_s": NEXT_S}


@router.get("/workers", dependencies=[needs("read")], responses=answers(training.Workers))
def list_workers(service: ServiceDep) -> Json:
    """Return the workers that are there, by box."""
    with service.database.read() as tx:
        return {"workers": [training.worker(row) for row in boxes.alive(tx, service.clock())]}
