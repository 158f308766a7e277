"""The composition root: routes, errors, limits, log-in and the life of the process."""

import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI

from cusp import __version__
from monitor.api import completion_pages, openapi, pages, problem_details, table_pages
from monitor.api.html import admin_pages, compare_pages
from monitor.api.middleware.audit import AuditMiddleware
from monitor.api.middleware.authentication import AuthenticationMiddleware
from monitor.api.middleware.body_limit import BodyLimitMiddleware
from monitor.api.middleware.compression import CompressionMiddleware
from monitor.api.middleware.forwarded import ForwardedMiddleware
from monitor.api.routes import (
    audit,
    checkpoints,
    commands,
    deletion,
    evaluations,
    events,
    health,
    history,
    jobs,
    runs,
    sessions,
    tokens,
    webhooks,
)
from monitor.api.routes.boxes import trainings, workers
from monitor.api.routes.health import Readiness
from monitor.api.routes.scores import differences, exports, posted, texts
from monitor.api.unknown_query import refuse_unknown_query
from monitor.background.expiry import SWEEP_EVERY_S, Expiry
from monitor.background.packing import PACK_EVERY_S, Packing
from monitor.background.periodic import PeriodicThread
from monitor.background.retention import PURGES_EVERY_S, Retention
from monitor.background.summaries import SUMMARISE_EVERY_S
from monitor.live.postgres_notify import PostgresNotify
from monitor.services import Service
from monitor.settings import MonitorConfig
from monitor.webhooks.delivery import LOOK_EVERY_S, Delivery


def _import_ruptures() -> None:
    """Import it now, beside the start: it takes seconds, and the first stop must not wait for it."""
    import ruptures  # noqa: F401


def _threads(service: Service) -> list[PeriodicThread]:
    """Return what works beside the requests."""
    database, config = service.database, service.config

    def clock() -> float:
        return service.clock()

    expiry = Expiry(database, service.changed, clock, config.lost_after_s)
    retention = Retention(
        database,
        clock,
        deleted_days=config.deleted_days,
        keep_days=config.keep_days,
        lost_after_s=config.lost_after_s,
    )
    packing = Packing(database)
    delivery = Delivery(
        database,
        clock,
        allowed=config.webhook_allow,
        lost_after_s=config.lost_after_s,
        root_path=config.root_path,
    )
    return [
        PeriodicThread("cusp-expiry", expiry.sweep, SWEEP_EVERY_S, without="nothing expires"),
        PeriodicThread(
            "cusp-retention",
            retention.turn,
            PURGES_EVERY_S,
            without="nothing is purged",
            closing=retention.closing,
        ),
        PeriodicThread(
            "cusp-packing",
            packing.turn,
            PACK_EVERY_S,
            without="no points are packed",
            closing=packing.closing,
        ),
        PeriodicThread(
            "cusp-webhooks",
            delivery.turn,
            LOOK_EVERY_S,
            without="no webhook is sent",
            wake=delivery.wake,
            closing=delivery.closing,
        ),
        PeriodicThread(
            "cusp-summaries",
            service.values.paced_turn,
            SUMMARISE_EVERY_S,
            without="the columns of the runs table stay as they are",
            closing=service.values.closing,
        ),
    ]


def create_app(config: MonitorConfig) -> FastAPI:
    """Return the monitor as an ASGI application, its database migrated.

    DatabaseError is raised when the database cannot be opened or is newer than this version.
    """
    service = Service(config)
    service.database.upgrade()
    service.tokens.sessions  # noqa: B018  (read now, so that no request waits for the database)
    threads: list[PeriodicThread | PostgresNotify] = [*_threads(service)]
    if service.fanout is not None:
        threads.append(service.fanout)

    @asynccontextmanager
    async def life(_app: FastAPI) -> AsyncIterator[None]:
        service.hub.open()
        threading.Thread(target=_import_ruptures, daemon=True).start()
        for thread in threads:
            thread.start()
        yield
        service.hub.close()
        for thread in threads:
            thread.close()
        service.database.close()

    app = FastAPI(
        title="Cusp",
        version=__version__,
        lifespan=life,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # monitor/api/middleware/forwarded.py does it, with the prefix
        dependencies=[Depends(refuse_unknown_query)],
    )
    app.state.service = service
    app.state.readiness = Readiness(service.database)
    for module in (
        runs,
        commands,
        evaluations,
        differences,
        texts,
        posted,
        exports,
        history,
        checkpoints,
        jobs,
        workers,
        trainings,
        events,
        tokens,
        webhooks,
        deletion,
        audit,
    ):
        app.include_router(module.router, prefix="/api/v1")
    app.include_router(health.router)
    app.include_router(sessions.router)
    app.include_router(table_pages.router)
    app.include_router(pages.router)
    app.include_router(completion_pages.router)
    app.include_router(compare_pages.router)
    app.include_router(admin_pages.router)
    problem_details.install(app)
    openapi.install(app)
    app.add_middleware(CompressionMiddleware)
    app.add_middleware(BodyLimitMiddleware, limit_bytes=config.body_limit_bytes)
    app.add_middleware(
        AuthenticationMiddleware, tokens=service.tokens, rate_per_s=config.rate_per_s
    )
    app.add_middleware(AuditMiddleware, database=service.database, clock=lambda: service.clock())
    app.add_middleware(
        ForwardedMiddleware,
        trusted_hosts=os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1,::1"),
        prefix=config.root_path,
    )
    return app
