"""Jobs: what workers claim, keep alive and bring back."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, WrapValidator

from cusp.protocol.fields import NUMBER, PLAIN_OBJECT, Body, Finite, Id, Name, Object, Text
from cusp.protocol.job_log import MOST_CHARACTERS, MOST_LINES
from cusp.protocol.messages import Scores
from monitor.actions import lease
from monitor.actions.require import job_or_404
from monitor.api.dependencies import ServiceDep
from monitor.api.keys import IdempotencyKey
from monitor.api.openapi import answers
from monitor.api.permissions import GrantDep, check_run, needs
from monitor.database.engine import Transaction
from monitor.errors import Forbidden
from monitor.schemas import evaluation as evaluation_schema
from monitor.schemas.base import Json
from monitor.services import Service
from monitor.store import jobs
from monitor.verdicts.cache import DetectorState

router = APIRouter(tags=["jobs"])

Token = Annotated[int, Field(ge=0, le=2**31 - 1), NUMBER]
Count = Annotated[int, Field(ge=0, le=2**31 - 1), NUMBER]
Share = Annotated[float, Field(ge=0, le=1), NUMBER]
# problem id, sample, score (null: the verifier failed), tokens, finish reason, seed
Row = tuple[
    Name,
    Annotated[int, Field(ge=0, le=32_767), NUMBER],
    Share | None,
    Count,
    Annotated[str, Field(max_length=16, pattern=r"^[ -~]*$")],
    Annotated[int, Field(ge=0, le=2**53), NUMBER],
]
_PLAIN: TypeAdapter[dict[str, Any]] = TypeAdapter(Object)


def _plain(value: Any, check: Callable[[Any], Any]) -> Any:
    """Refuse what no database could hold, wherever in the object it is."""
    return check(_PLAIN.validate_python(value))


class NothingToDo(LookupError):
    """No job waits. Nothing is remembered of the asking, so a repeat may get one."""


class Claim(Body):
    """Who asks for which kinds of job; `runs`: only of these, whose folders the worker has."""

    worker: Name
    runs: Annotated[list[Id], Field(max_length=1_000)] | None = None
    kinds: Annotated[
        list[Literal["train", "evaluate", "verify", "export"]], Field(min_length=1, max_length=4)
    ]


class Progress(Body):
    """How far a job is."""

    done: Count
    total: Count
    text: Annotated[Text, Field(max_length=500)] = ""


class Log(Body):
    """The last lines of what the worker wrote since it claimed the job, of `total`."""

    total: Annotated[int, Field(ge=0, le=2**53), NUMBER]
    lines: Annotated[
        list[Annotated[Text, Field(max_length=MOST_CHARACTERS)]], Field(max_length=MOST_LINES)
    ]


class Heartbeat(Body):
    """The worker is alive."""

    token: Token
    progress: Progress | None = None
    log: Log | None = None


class Export(Body):
    """What an export job wrote on its box; `lost` is the share of the update that merging lost."""

    folder: Annotated[Text, Field(max_length=4_096)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(ge=0, le=2**53), NUMBER]
    merged: bool
    lost: Annotated[Finite, Field(ge=0)] | None = None
    serve: Annotated[Text, Field(max_length=8_192)]


class Result(BaseModel):
    """What a job brought: of an `evaluate` job the paired comparison, which the page shows; of a `verify` job
    the scores by step, the completions that were generated and the seconds that took; of an `export` job the folder.
    """

    model_config = ConfigDict(
        extra="allow", allow_inf_nan=False, json_schema_extra={**PLAIN_OBJECT}
    )

    comparison: evaluation_schema.Comparison | None = None
    scores: Scores | None = None
    completions: Count | None = None
    seconds: Annotated[Finite, Field(ge=0)] | None = None
    export: Export | None = None


class Finish(Body):
    """How a job ended."""

    token: Token
    state: Literal["done", "failed"]
    error: Text | None = None
    result: Annotated[Result, WrapValidator(_plain)] | None = None
    log: Log | None = None


@router.get(
    "/jobs", dependencies=[needs("read", filters=True)], responses=answers(evaluation_schema.Jobs)
)
def list_jobs(
    service: ServiceDep, grant: GrantDep, run_id: Id | None = None, waiting: bool = False
) -> Json:
    """Return jobs, newest first, of one run or of all; a limited token must name its run.

    `waiting`: those that a worker could claim now, oldest first.
    """
    with service.database.read() as tx:
        if run_id is None and grant.limited:
            raise Forbidden("the token is limited to some runs; ask with run_id")
        if run_id is not None:
            check_run(tx, grant, run_id)
        found = jobs.waiting(tx, service.clock()) if waiting else jobs.of_run(tx, run_id)
        return {
            "jobs": [evaluation_schema.job(row) for row in found if run_id in (None, row.run_id)]
        }


@router.post(
    "/jobs/claim",
    responses={**answers(evaluation_schema.ClaimedJob), 204: {"description": "nothing to do"}},
    dependencies=[needs("control")],
)
def claim_job(claim: Claim, service: ServiceDep, key: IdempotencyKey = None) -> Any:
    """Give the oldest waiting job to the worker; a repeat with the same key gets the same one."""

    def act(tx: Transaction) -> Json:
        found = lease.claim(tx, service.clock(), claim.worker, claim.kinds, claim.runs)
        if found is None:
            raise NothingToDo
        return found

    try:
        return service.idempotent(key, ["claim", claim.model_dump()], act)
    except NothingToDo:
        return Response(status_code=204)


@router.post(
    "/jobs/{job_id}/heartbeat",
    dependencies=[needs("control")],
    responses=answers(evaluation_schema.Lease, 409),
)
def heartbeat_job(job_id: Id, beat: Heartbeat, service: ServiceDep) -> Json:
    """Prolong the lease; a job that is `cancelled_by` somebody is to be ended as failed."""
    progress = beat.progress.model_dump() if beat.progress else None
    log = beat.log.model_dump() if beat.log else None
    with service.database.write() as tx:
        return lease.prolong(tx, job_id, beat.token, service.clock(), progress, log)


@router.post(
    "/jobs/{job_id}/cancel",
    dependencies=[needs("control")],
    responses=answers(evaluation_schema.Job, 409),
)
def cancel_job(
    job_id: Id, service: ServiceDep, grant: GrantDep, key: IdempotencyKey = None
) -> Json:
    """End a job that no worker has; of one at work, ask its worker to end it, which its state then says.

    What it brought so far stays. 409 for a training whose run is there: the run is stopped instead.
    """

    def act(tx: Transaction) -> tuple[lease.Ended | None, Json]:
        ended = lease.cancel(tx, job_or_404(tx, job_id), service.clock(), grant.name)
        return ended, evaluation_schema.job(job_or_404(tx, job_id))

    return _ended(service, key, ["cancel job", job_id], act)


@router.get(
    "/jobs/{job_id}/log",
    dependencies=[needs("read")],
    responses=answers(evaluation_schema.JobLog),
)
def get_job_log(job_id: Id, service: ServiceDep) -> Json:
    """Return the job with the last lines of what its workers wrote, a part for each claim, the first one first."""
    with service.database.read() as tx:
        row = job_or_404(tx, job_id)
        parts = [evaluation_schema.log_part(one) for one in jobs.logs(tx, job_id)]
        return {"job": evaluation_schema.job(row), "parts": parts}


@router.post(
    "/jobs/{job_id}/finish",
    dependencies=[needs("control")],
    responses=answers(evaluation_schema.JobState, 409),
)
def finish_job(job_id: Id, finish: Finish, service: ServiceDep, key: IdempotencyKey = None) -> Json:
    """End the job; a comparison that names a best checkpoint moves the alias `best`."""
    result = finish.result.model_dump(exclude_unset=True) if finish.result else None
    comparison = finish.result.comparison if finish.result else None

    def act(tx: Transaction) -> tuple[lease.Ended, Json]:
        ended = lease.finish(
            tx,
            job_id,
            finish.token,
            service.clock(),
            state=finish.state,
            error=finish.error,
            result=result,
            comparison=comparison.model_dump() if comparison else None,
            log=finish.log.model_dump() if finish.log else None,
        )
        return ended, {"state": ended.state}

    return _ended(service, key, ["finish", job_id, finish.model_dump()], act)


def _ended(
    service: Service,
    key: str | None,
    asked: list[Any],
    act: Callable[[Transaction], tuple[lease.Ended | None, Json]],
) -> Json:
    """Return the answer to an act that may end a job; of a verification that it answers, the decision follows."""
    folded: list[tuple[str, DetectorState | None]] = []

    def whole(tx: Transaction) -> Json:
        ended, told = act(tx)
        if ended is not None and ended.answered:
            folded.append((ended.run_id, service.ingest.answered(tx, ended)))
        return told

    told = service.idempotent(key, asked, whole)
    for run_id, state in folded:  # after the commit
        service.ingest.remember(run_id, state)
    return told
