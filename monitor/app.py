"""The composition root: routes, errors, limits, log-in and the life of the process."""

import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI

from cusp import __version__
from monitor import openapi, problems
from monitor.acts import Acts
from monitor.api import (
    checkpoints,
    deletion,
    health,
    jobs,
    log_in,
    pages,
    quarantine,
    resume,
    roles,
    runs,
    shared_stream,
    stream,
    tokens,
    webhooks,
)
from monitor.compressed import Compressed
from monitor.config import MonitorConfig
from monitor.forwarded import Forwarded
from monitor.guard import Guard
from monitor.limits import BodyLimit
from monitor.readiness import Readiness
from monitor.retention import Retention
from monitor.service import Service
from monitor.unknown_query import refuse_unknown_query
from monitor.webhooks_courier import Courier


def _import_ruptures() -> None:
    """Import it now, beside the start: it takes seconds, and the first stop must not wait for it."""
    import ruptures  # noqa: F401


def _courier(service: Service) -> Courier:
    config = service.config
    return Courier(
        service.database,
        lambda: service.clock(),
        allowed=config.webhook_allow,
        lost_after_s=config.lost_after_s,
        root_path=config.root_path,
    )


def _retention(service: Service) -> Retention:
    config = service.config
    return Retention(
        service.database,
        service.changed,
        lambda: service.clock(),
        deleted_days=config.deleted_days,
        keep_days=config.keep_days,
        lost_after_s=config.lost_after_s,
    )


def create_app(config: MonitorConfig) -> FastAPI:
    """Return the monitor as an ASGI application, its database migrated.

    DatabaseError is raised when the database cannot be opened or is newer than this version.
    """
    service = Service(config)
    service.database.upgrade()
    service.tokens.sessions  # noqa: B018  (read now, so that no request waits for the database)
    beside = (_courier(service), _retention(service))

    @asynccontextmanager
    async def life(_app: FastAPI) -> AsyncIterator[None]:
        service.open()
        threading.Thread(target=_import_ruptures, daemon=True).start()
        for each in beside:
            each.start()
        yield
        for each in beside:
            each.close()
        service.close()

    app = FastAPI(
        title="Cusp",
        version=__version__,
        lifespan=life,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # monitor/forwarded.py does it, with the prefix
        dependencies=[Depends(refuse_unknown_query)],
    )
    app.state.service = service
    app.state.readiness = Readiness(service.database)
    for module in (
        runs,
        roles,
        resume,
        quarantine,
        checkpoints,
        jobs,
        shared_stream,
        stream,
        tokens,
        webhooks,
        deletion,
    ):
        app.include_router(module.router, prefix="/api/v1")
    app.include_router(health.router)
    app.include_router(log_in.router)
    app.include_router(pages.router)
    problems.install(app)
    openapi.install(app)
    app.add_middleware(Compressed)
    app.add_middleware(BodyLimit, limit_bytes=config.body_limit_bytes)
    app.add_middleware(Guard, tokens=service.tokens, rate_per_s=config.rate_per_s)
    app.add_middleware(Acts, database=service.database, clock=lambda: service.clock())
    app.add_middleware(
        Forwarded,
        trusted_hosts=os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1,::1"),
        prefix=config.root_path,
    )
    return app
