"""Pages of what surrounds the runs: projects, jobs and workers, settings, tokens, webhooks, the API."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from cusp import __version__
from cusp.protocol.fields import Id
from monitor.actions import quotas
from monitor.actions.require import job_or_404
from monitor.api.dependencies import ServiceDep
from monitor.api.permissions import GrantDep, needs
from monitor.clock import when
from monitor.database import installation
from monitor.schemas import access, evaluation, training
from monitor.services import Service
from monitor.store import boxes, jobs, run_list, runs
from monitor.store.access import deliveries, tokens
from monitor.store.access import webhooks as webhook_rows
from monitor.store.run_list import Wanted
from monitor.store.table import projects
from monitor.webhooks import outbox
from webui import admin

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
JOBS_SHOWN = 200
DELIVERIES_SHOWN = 20


@router.get("/docs", dependencies=[needs("read", filters=True)])
def docs_page() -> str:
    """The interactive API page."""
    return admin.docs_page()


@router.get("/projects", dependencies=[needs("read", filters=True)])
def projects_page(service: ServiceDep, grant: GrantDep) -> str:
    """The projects that the asker may see."""
    wanted = Wanted(within=grant.project, only=grant.run_id)
    silent = service.clock() - service.config.lost_after_s
    with service.database.read() as tx:
        found = projects.projects(tx, wanted, silent_since=silent)
        priced = projects.newest(tx, wanted)
        shown = service.summaries(tx, run_list.some(tx, priced))
    return admin.projects_page([_project(row, shown) for row in found], newest=len(priced))


@router.get("/jobs", dependencies=[needs("read")])
def jobs_page(service: ServiceDep, grant: GrantDep) -> str:
    """The newest jobs, and the workers that are there."""
    now = service.clock()
    with service.database.read() as tx:
        rows = jobs.of_run(tx, None)[:JOBS_SHOWN]
        names = {row.id: row.name for row in run_list.some(tx, [row.run_id for row in rows])}
        workers = [training.worker(row) for row in boxes.alive(tx, now)]
    shown = [_job(row, names.get(row.run_id), now) for row in rows]
    return admin.jobs_page(shown, workers, may_act=grant.has("control"))


@router.get("/jobs/{job_id}", dependencies=[needs("read")])
def job_page(job_id: Id, service: ServiceDep, grant: GrantDep) -> str:
    """One job with the last lines of what its workers wrote."""
    with service.database.read() as tx:
        row = job_or_404(tx, job_id)
        run = runs.get(tx, row.run_id)
        parts = [evaluation.log_part(one) for one in jobs.logs(tx, job_id)]
    shown = _job(row, run.name if run is not None else None, service.clock())
    return admin.job_page(shown, parts, may_act=grant.has("control"))


def _job(row: Any, run: str | None, now: float) -> dict[str, Any]:
    """Return a job as the pages show it; `run` is the name of its run, None before it is announced."""
    lost = jobs.lease_lost(row, now)
    held = row.state == "leased" and not lost
    open_ = row.state in ("queued", "leased") and row.cancelled_by is None
    trains = row.kind == "train" and held and run is not None
    return {
        **evaluation.job(row),
        "run": run,
        "lease_lost": lost,
        "held": held,
        "cancellable": open_ and not trains,
        "stoppable": open_ and trains,
    }


@router.get("/settings", dependencies=[needs("admin")])
def settings_page(service: ServiceDep) -> str:
    """What the monitor is set to, without secrets."""
    with service.database.read() as tx:
        database = installation.database_id(tx)
    return admin.settings_page(_settings(service, database))


@router.get("/tokens", dependencies=[needs("admin")])
def tokens_page(service: ServiceDep) -> str:
    """The tokens, and a form for a new one."""
    with service.database.read() as tx:
        return admin.tokens_page([access.token(row) for row in tokens.listed(tx)])


@router.get("/webhooks", dependencies=[needs("admin")])
def webhooks_page(service: ServiceDep) -> str:
    """The webhooks with their last deliveries, and a form for a new one."""
    with service.database.read() as tx:
        counts = deliveries.counts(tx)
        shown = [
            {
                **access.webhook(row, counts),
                "deliveries": [
                    access.delivery(one)
                    for one in deliveries.of_webhook(tx, row.id)[:DELIVERIES_SHOWN]
                ],
            }
            for row in webhook_rows.active(tx)
        ]
    return admin.webhooks_page(shown, topics=outbox.TOPICS)


def _project(row: Any, shown: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a project's row with what its newest runs cost and saved."""
    own = [run for run in shown if run["project"] == row.project]
    spent = [run["spent_usd"] for run in own if run["spent_usd"] is not None]
    saved = [run["saved_usd"] for run in own if run["saved_usd"] is not None]
    shares = [run["saved_fraction"] for run in own if run["saved_fraction"] is not None]
    return {
        "project": row.project,
        "runs": row.runs,
        "running": row.running,
        "kept": row.kept,
        "last_contact_at": when(row.last_contact_at),
        "spent_usd": sum(spent) if spent else None,
        "saved_usd": sum(saved) if saved else None,
        "saved_fraction": sum(shares) / len(shares) if shares else None,
    }


def _settings(service: Service, database_id: str) -> list[tuple[str, str, str]]:
    """Return (what, its value, how to change it)."""
    config = service.config
    days = "for ever" if config.keep_days is None else f"{config.keep_days:g} days after their end"
    networks = ", ".join(str(one) for one in config.webhook_allow) or "public addresses only"
    limit = f"{config.rate_per_s:g} requests a second" if config.rate_per_s else "none"
    return [
        ("version", __version__, ""),
        ("address", f"{config.host}:{config.port}{config.root_path}", "CUSP_HOST, CUSP_PORT"),
        ("log-in", "with a token" if config.token else "none: loopback only", "CUSP_TOKEN"),
        ("database", service.database.engine.dialect.name, "CUSP_DATABASE_URL"),
        ("id of the database", database_id, ""),
        ("ended runs are kept", days, "CUSP_KEEP_DAYS"),
        ("deleted runs can be restored", f"{config.deleted_days:g} days", "CUSP_DELETED_DAYS"),
        ("a silent run is lost after", f"{config.lost_after_s:g} s", ""),
        ("limit of a token and address", limit, "CUSP_RATE_LIMIT"),
        ("webhooks reach", networks, "CUSP_WEBHOOK_ALLOW"),
        ("body limit", f"{config.body_limit_bytes:,} bytes", ""),
        ("series of a run", f"{config.series_limit:,}", ""),
        *((f"quota: {what}", f"{most:,}", "") for what, most in quotas.LIMITS.items()),
    ]
