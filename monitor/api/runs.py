"""Runs: announcing, batches, reading back, stopping."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import Field

from cusp.wire import Batch, Body, Id, Reply, Text
from monitor import evaluate, possible, shapes, views
from monitor.access import GrantDep, check_run, needs
from monitor.aliases import usable
from monitor.api.announcement import Announcement
from monitor.api.keys import IdempotencyKey
from monitor.api.queries import BeforeDep, Limit, Status, WantedDep
from monitor.openapi import answers
from monitor.problems import Conflict, NotFound
from monitor.role_reading import shown_series
from monitor.service import ServiceDep, run_or_404
from monitor.store import audit, checkpoints, commands, evaluations, feed, findings, points, runs
from monitor.store import jobs as job_rows
from monitor.store.database import Transaction
from monitor.thin import thin
from webui.address import at

router = APIRouter(tags=["runs"])
Json = dict[str, Any]
Since = Annotated[int, Query(ge=0, le=2**53, description="first step to return")]

MaxPoints = Annotated[
    int, Query(ge=10, le=100_000, description="about this many points of each series")
]


class StopRequest(Body):
    """Why and how to stop."""

    reason: Text = "stopped by a person"
    mode: Literal["graceful", "after_save"] = "graceful"


class EvaluateRequest(Body):
    """Which checkpoints to score; none named means the candidates.

    `recipe_given` says that a recipe with an evaluation section was put into the run's folder.
    """

    checkpoints: list[Id] = Field(default=[], max_length=200)
    recipe_given: bool = False


class Judgement(Body):
    """A person's word on a change point."""

    state: Literal["confirmed", "dismissed"]


@router.post(
    "/runs",
    dependencies=[needs("ingest", filters=True)],
    responses=answers(shapes.Announced, 409),
)
def announce_run(start: Announcement, service: ServiceDep, grant: GrantDep) -> Json:
    """Announce an attempt of a run; repeating it changes nothing.

    What of the announcement cannot be taken is left out, and named in `refused` and `ignored`.
    """
    with service.database.read() as tx:
        check_run(tx, grant, start.run_id, start.project)
    service.ingest.announce(start, start.refused, start.ignored)
    reasons = [part.reason for part in start.refused]
    found = {"id": start.run_id, "url": at(f"/runs/{start.run_id}")}
    return {**found, "refused": reasons, "ignored": list(start.ignored)}


@router.post(
    "/runs/{run_id}/batches", dependencies=[needs("ingest")], response_model_exclude_none=True
)
def post_batch(run_id: Id, batch: Batch, service: ServiceDep) -> Reply:
    """Take messages and return what the trainer should know."""
    return service.ingest.batch(run_id, batch)


@router.get("/runs", dependencies=[needs("read", filters=True)], responses=answers(shapes.Runs))
def list_runs(
    service: ServiceDep,
    wanted: WantedDep,
    before: BeforeDep,
    status: Status | None = None,
    limit: Limit = 100,
) -> Json:
    """Return a page of the runs, newest first; `next` is `before` of the next one."""
    with service.database.read() as tx:
        page = service.listed(tx, replace(wanted, status=status), limit, before)
        return {
            "runs": service.summaries(tx, page.runs),
            "total": page.total,
            "first": page.first,
            "next": page.older and str(page.older),
        }


@router.get("/runs/{run_id}", dependencies=[needs("read")], responses=answers(shapes.Run))
def get_run(run_id: Id, service: ServiceDep) -> Json:
    """Return one run with its details."""
    with service.database.read() as tx:
        return service.detailed(tx, run_or_404(tx, run_id))


@router.get(
    "/runs/{run_id}/series", dependencies=[needs("read")], responses=answers(shapes.AllSeries)
)
def get_series(
    run_id: Id,
    service: ServiceDep,
    names: str | None = None,
    since: Since = 0,
    max_points: MaxPoints | None = None,
) -> Json:
    """Return the metric series: what counts, and what later attempts superseded."""
    only = names.split(",") if names else None
    with service.database.read() as tx:
        run = run_or_404(tx, run_id)
        found, numbers = _stored_series(tx, run, only, since)
        if max_points is not None:
            marked = _marked_steps(tx, run)
            found = [thin(one, max_points, marked) for one in found]
        return {"series": views.series(found, numbers)}


@router.get(
    "/runs/{run_id}/verdicts", dependencies=[needs("read")], responses=answers(shapes.Verdicts)
)
def get_verdicts(run_id: Id, service: ServiceDep, since: Since = 0) -> Json:
    """Return the verdict after every step, in columns."""
    with service.database.read() as tx:
        run = run_or_404(tx, run_id)
        return views.verdicts(findings.verdicts_of(tx, run_id, since), run.verdict)


@router.get(
    "/runs/{run_id}/change-points",
    dependencies=[needs("read")],
    responses=answers(shapes.ChangePoints),
)
def get_change_points(run_id: Id, service: ServiceDep) -> Json:
    """Return the change points found so far."""
    with service.database.read() as tx:
        run_or_404(tx, run_id)
        found = findings.change_points_of(tx, run_id)
        return {"change_points": [views.change_point(row) for row in found]}


@router.patch(
    "/change-points/{change_point_id}",
    dependencies=[needs("control")],
    responses=answers(shapes.ChangePoint),
)
def judge_change_point(
    change_point_id: Id, judgement: Judgement, service: ServiceDep, grant: GrantDep
) -> Json:
    """Confirm or dismiss a change point, as a person."""
    with service.database.write() as tx:
        row = findings.judge(tx, change_point_id, judgement.state, grant.name)
        if row is None:
            raise NotFound(f"there is no change point {change_point_id!r} here")
        audit.add(
            tx,
            row.run_id,
            service.clock(),
            actor=grant.name,
            action=judgement.state,
            target=change_point_id,
            detail={"kind": row.kind, "step": row.step},
        )
        feed.section_changed(tx, row.run_id, "change_points")
    service.changed(row.run_id)
    return views.change_point(row)


@router.get(
    "/runs/{run_id}/evaluations",
    dependencies=[needs("read")],
    responses=answers(shapes.Evaluations),
)
def get_evaluations(run_id: Id, service: ServiceDep) -> Json:
    """Return the scores of the run's checkpoints and the latest paired comparison."""
    with service.database.read() as tx:
        run_or_404(tx, run_id)
        return read_evaluations(tx, run_id)


@router.get(
    "/runs/{run_id}/samples", dependencies=[needs("read")], responses=answers(shapes.Samples)
)
def get_samples(run_id: Id, service: ServiceDep, step: Since | None = None) -> Json:
    """Return stored completions."""
    with service.database.read() as tx:
        run_or_404(tx, run_id)
        return {"samples": [views.sample(row) for row in points.samples_of(tx, run_id, step=step)]}


@router.get("/runs/{run_id}/audit", dependencies=[needs("read")], responses=answers(shapes.Audit))
def get_audit(run_id: Id, service: ServiceDep) -> Json:
    """Return who did what, newest first."""
    with service.database.read() as tx:
        run_or_404(tx, run_id)
        return {"audit": [views.audit_entry(row) for row in audit.of_run(tx, run_id)]}


@router.post(
    "/runs/{run_id}/stop",
    status_code=202,
    dependencies=[needs("control")],
    responses=answers(shapes.RunCommand, 409, status=202),
)
def stop_run(
    run_id: Id,
    service: ServiceDep,
    grant: GrantDep,
    request: StopRequest | None = None,
    key: IdempotencyKey = None,
) -> Json:
    """Ask the trainer to save, pin, acknowledge and exit; a stop under way is returned as it is.

    Only a `graceful` one beside one that waits for a save is asked for, too: somebody is in a hurry.
    """
    asked = request or StopRequest()

    def act(tx: Transaction) -> Json:
        run = run_or_404(tx, run_id, locked=True)
        under_way = commands.pending(tx, run_id, "stop")
        if same := [row for row in under_way if row.mode in ("graceful", asked.mode)]:
            return views.command(same[0])
        if run.status != "running" and not service.still_training(tx, run_id):
            raise Conflict(f"the run is {run.status} already; there is nothing to stop")
        return views.command(_stop(tx, run_id, service.clock(), asked, grant.name))

    answer = service.once(key, ["stop", run_id, asked.model_dump()], act)
    service.changed(run_id)
    return answer


@router.get(
    "/runs/{run_id}/commands/{command_id}",
    dependencies=[needs("read")],
    responses=answers(shapes.RunCommand),
)
def get_command(run_id: Id, command_id: Id, service: ServiceDep) -> Json:
    """Return a command and how far it got."""
    with service.database.read() as tx:
        row = commands.get(tx, command_id)
        if row is None or row.run_id != run_id:
            raise NotFound(f"run {run_id} has no command {command_id!r}")
        return views.command(row)


@router.post(
    "/runs/{run_id}/evaluate",
    status_code=202,
    dependencies=[needs("control")],
    responses=answers(shapes.Job, 409, status=202),
)
def evaluate_run(
    run_id: Id,
    service: ServiceDep,
    grant: GrantDep,
    request: EvaluateRequest | None = None,
    key: IdempotencyKey = None,
) -> Json:
    """Queue the evaluation of the candidates, or of the checkpoints named."""
    asked = request or EvaluateRequest()
    only = asked.checkpoints

    def act(tx: Transaction) -> Json:
        run = run_or_404(tx, run_id, locked=True)
        if asked.recipe_given:
            runs.change(tx, run_id, metadata={**run.metadata, "evaluable": True})
        elif reason := possible.no_evaluation(run_id, run.metadata):
            raise Conflict(reason)
        if not usable(tx, run_id):
            raise Conflict("the run has no complete checkpoint yet; wait for the first save")
        return views.job(evaluate.asked_for(tx, run_id, service.clock(), grant.name, only))

    answer = service.once(key, ["evaluate", run_id, asked.model_dump()], act)
    service.changed(run_id)
    return answer


def read_series(tx: Transaction, run: Any) -> list[Json]:
    """Return the run's `Series` objects, every point of them."""
    return views.series(*_stored_series(tx, run))


def _stored_series(
    tx: Transaction, run: Any, names: list[str] | None = None, since: int = 0
) -> tuple[list[points.Series], dict[int, int]]:
    attempts = runs.attempts_of(tx, run.id)
    found = shown_series(tx, run, runs.cuts(attempts), only=names, since=since)
    return found, views.attempt_numbers(attempts)


def _marked_steps(tx: Transaction, run: Any) -> set[int]:
    """Return the steps that a chart points at: checkpoints, change points, the transition."""
    transition = (run.verdict or {}).get("transition") or {}
    marked = {transition[key] for key in ("step", "low", "high", "safe_step") if key in transition}
    marked |= {row.step for row in checkpoints.of_run(tx, run.id)}
    return marked | {row.step for row in findings.change_points_of(tx, run.id)}


def read_evaluations(tx: Transaction, run_id: str, evaluated: Sequence[Any] | None = None) -> Json:
    """Return the run's `Evaluation` objects and its latest `Comparison`.

    `evaluated` are its evaluations if they were read before.
    """
    evaluated = evaluations.of_run(tx, run_id) if evaluated is None else evaluated
    done = [job for job in job_rows.of_run(tx, run_id) if job.state == "done" and job.result]
    return {
        "evaluations": [views.evaluation(row) for row in evaluated],
        "comparison": done[0].result.get("comparison") if done else None,
    }


def _stop(tx: Transaction, run_id: str, now: float, asked: StopRequest, author: str) -> Any:
    command = commands.add(
        tx, run_id, now, kind="stop", reason=asked.reason, author=author, mode=asked.mode
    )
    audit.add(
        tx,
        run_id,
        now,
        actor=author,
        action="stop",
        target=run_id,
        detail={"reason": asked.reason, "mode": asked.mode},
    )
    feed.section_changed(tx, run_id, "commands")
    feed.add(tx, run_id, "run", {})
    return command
