"""Routes for a run's history: series, verdicts, change points, samples, refused messages, audit log."""

import json
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from cusp.protocol.fields import Body, Id
from monitor.actions import decisions
from monitor.actions.require import run_or_404
from monitor.api.dependencies import ServiceDep
from monitor.api.openapi import answers, problem
from monitor.api.permissions import GrantDep, needs
from monitor.api.queries import Limit
from monitor.api.sample_queries import SamplesAskedDep
from monitor.roles.stored_series import as_shown, shown_series
from monitor.schemas import access, base, run, series
from monitor.schemas.base import Json
from monitor.schemas.downsample import thin
from monitor.schemas.exported import series_table
from monitor.schemas.run_data import RunData
from monitor.schemas.scores import exports
from monitor.services import Service
from monitor.store import points, quarantine, runs, verdicts
from monitor.store.access import audit
from monitor.store.packed.blocks import stretches
from monitor.store.scores import completions

router = APIRouter(tags=["runs"])

MEDIA_TYPE = "application/x-ndjson"
_PAGE = 500
_POINTS = 40_000  # read at once for a table: 2,000 steps of 20 metrics
_ANSWER = {"description": "one JSON object a line", "content": {MEDIA_TYPE: {}}}
_TABLE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "columns `step`, `attempt` and the metrics",
        "content": {exports.MEDIA_TYPES[kind].partition(";")[0]: {} for kind in ("csv", "parquet")},
    },
    409: problem(409),
}

Since = Annotated[int, Query(ge=0, le=2**53, description="first step to return")]
Until = Annotated[int, Query(ge=0, le=2**53, description="last step to return")]
MaxPoints = Annotated[
    int, Query(ge=10, le=100_000, description="about this many points of each series")
]


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
            numbers = base.attempt_numbers(runs.attempts_of(tx, run_id))
            found = quarantine.after(tx, run_id, place, _PAGE)
        for row in found:
            yield json.dumps(run.quarantined_message(row, numbers)) + "\n"
        if len(found) < _PAGE:
            return
        place = (found[-1].attempt_key, found[-1].seq)


class Judgement(Body):
    """A person's word on a change point."""

    state: Literal["confirmed", "dismissed"]


@router.get(
    "/runs/{run_id}/series", dependencies=[needs("read")], responses=answers(series.AllSeries)
)
def get_series(
    run_id: Id,
    service: ServiceDep,
    names: str | None = None,
    since: Since = 0,
    until: Until = 2**53,
    max_points: MaxPoints | None = None,
) -> Json:
    """Return the metric series: what counts, and what later attempts superseded.

    With `max_points` the steps from `since` to `until` are thinned, so a narrower window is read in full.
    """
    only = names.split(",") if names else None
    with service.database.read() as tx:
        data = RunData(tx, run_or_404(tx, run_id))
        cuts = runs.cuts(data.attempts)
        found = shown_series(tx, data.run, cuts, only=only, since=since, until=until)
        if max_points is not None:
            marked = data.marked_steps
            found = [thin(one, max_points, marked) for one in found]
        return {"series": series.series(found, data.numbers)}


@router.get(
    "/runs/{run_id}/series/export",
    dependencies=[needs("read")],
    response_class=StreamingResponse,
    responses=_TABLE,
)
def export_series(
    run_id: Id, service: ServiceDep, format: Literal["csv", "parquet"] = "csv"
) -> StreamingResponse:
    """Return all series at full resolution as one table: a line a step, a column a metric; what counts alone."""
    written = series_table.table_writer(format)
    with service.database.read() as tx:
        data = RunData(tx, run_or_404(tx, run_id))
        cuts = runs.cuts(data.attempts)  # attempts that begin from now on are not in the table
        numbers = data.numbers
        named = [points.Series(name) for name in points.names(tx, run_id)]
        metrics = series_table.metrics_of(as_shown(named, data.run.metadata))
        asked = stretches(tx, run_id, _POINTS)

    def portions() -> Iterator[series_table.Portion]:
        for since, until in asked:
            with service.database.read() as tx:
                found = shown_series(tx, data.run, cuts, since=since, until=until)
            yield series_table.portion(found, metrics, numbers)

    return StreamingResponse(
        written(metrics, portions()),
        media_type=exports.MEDIA_TYPES[format],
        headers={"Content-Disposition": f'attachment; filename="{run_id}-series.{format}"'},
    )


@router.get(
    "/runs/{run_id}/verdicts", dependencies=[needs("read")], responses=answers(series.Verdicts)
)
def get_verdicts(
    run_id: Id,
    service: ServiceDep,
    since: Since = 0,
    until: Until = 2**53,
    max_points: MaxPoints | None = None,
) -> Json:
    """Return the verdict after every step, in columns; with `max_points` about that many of them."""
    with service.database.read() as tx:
        run = run_or_404(tx, run_id)
        if max_points is None:
            found = verdicts.verdicts_of(tx, run_id, since, until)
        else:
            found = RunData(tx, run).some_verdicts(max_points, since, until)
        return series.verdicts(found, run.verdict)


@router.get(
    "/runs/{run_id}/change-points",
    dependencies=[needs("read")],
    responses=answers(series.ChangePoints),
)
def get_change_points(run_id: Id, service: ServiceDep) -> Json:
    """Return the change points found so far."""
    with service.database.read() as tx:
        run_or_404(tx, run_id)
        found = verdicts.change_points_of(tx, run_id)
        return {"change_points": [series.change_point(row) for row in found]}


@router.patch(
    "/change-points/{change_point_id}",
    dependencies=[needs("control")],
    responses=answers(series.ChangePoint),
)
def judge_change_point(
    change_point_id: Id, judgement: Judgement, service: ServiceDep, grant: GrantDep
) -> Json:
    """Confirm or dismiss a change point, as a person."""
    with service.database.write() as tx:
        row = decisions.review(tx, change_point_id, judgement.state, service.clock(), grant.name)
    return series.change_point(row)


@router.get(
    "/runs/{run_id}/samples", dependencies=[needs("read")], responses=answers(series.Samples)
)
def get_samples(
    run_id: Id,
    service: ServiceDep,
    asked: SamplesAskedDep,
    step: Since | None = None,
    limit: Limit = 50,
    offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
) -> Json:
    """Return stored completions, newest step first, and how many are stored of those asked for.

    `step` is one step, `first` and `last` are a range; `reward` is a name, `least` and `most` its limits.
    """
    with service.database.read() as tx:
        numbers = RunData(tx, run_or_404(tx, run_id)).numbers
        found = [row for row in completions.without_text(tx, run_id) if asked.takes(row)]
        taken = [row for row in found if step in (None, row.step)]
        taken.sort(key=lambda row: (-row.step, row.seq))
        keys = [(row.attempt_key, row.seq) for row in taken[offset : offset + limit]]
        texts = completions.with_text(tx, run_id, keys)
    shown = [series.sample(texts[key], numbers) for key in keys]
    return {"samples": shown, "total": len(taken)}


@router.get("/runs/{run_id}/audit", dependencies=[needs("read")], responses=answers(access.Audit))
def get_audit(run_id: Id, service: ServiceDep) -> Json:
    """Return who did what, newest first."""
    with service.database.read() as tx:
        run_or_404(tx, run_id)
        return {"audit": [access.audit_entry(row) for row in audit.of_run(tx, run_id)]}
