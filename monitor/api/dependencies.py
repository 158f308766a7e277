"""FastAPI dependency of the routes: database, ingest, hub, configuration."""

from typing import Annotated

from fastapi import Depends, Request

from monitor.services import Service


async def _service(request: Request) -> Service:  # a coroutine, as it costs no turn in a thread
    service: Service = request.app.state.service
    return service


ServiceDep = Annotated[Service, Depends(_service)]
