"""The JSON shapes of docs/reference/rest.md, made from rows. Used by REST, events and pages alike."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from cusp.protocol.fields import Finite, Name, Step, Text
from monitor.clock import when
from monitor.schemas.base import Json, Shape, columns
from monitor.schemas.run_data import RunData
from monitor.store import jobs

_JOB = ("id", "kind", "run_id", "state", "worker", "progress", "error", "attempts", "cancelled_by")


class RunEvaluation(Shape):
    id: str
    run_id: str
    checkpoint_id: str | None
    roles: list[str]
    step: int
    task: str
    split: Literal["selection", "report"]
    samples_per_problem: int | None
    pass_at_1: float
    low: float
    high: float
    fixed_low: float | None
    fixed_high: float | None
    fixed_bound: bool | None
    n_problems: int
    n_samples: int | None
    errors: int | None
    mean_tokens: float | None
    truncated_share: float | None
    maj_at_k: float | None
    maj_low: float | None
    maj_high: float | None
    source: str
    author: str | None
    preset: str | None
    engine: str | None
    created_at: str


class Reference(Shape):
    role: Text
    step: Step


class ComparedTo(Shape):
    roles: Annotated[list[Name], Field(max_length=16)]
    step: Step


class PairedDifference(Shape):
    """In pass@1: 95 % for problems like these, and `fixed_` for this fixed set, at most that wide if it is a bound."""

    difference: Finite
    low: Finite | None
    high: Finite | None
    fixed_low: Finite | None = None
    fixed_high: Finite | None = None
    fixed_bound: bool | None = None
    p_value: Finite | None = None
    p_adjusted: Finite | None = None
    verdict: Literal["better", "worse", "not distinguishable"]


class TaskDifference(PairedDifference):
    """A row's difference on one task, corrected by Holm over the tasks of all rows."""

    task: Name


class ComparisonRow(ComparedTo, PairedDifference):
    """A candidate against the reference; the verdict is after Holm's correction over rows, at `level`."""

    split: Name = "report"
    level: Finite | None = None
    mde: Finite | None
    equivalent: bool = False
    tasks: list[TaskDifference] = Field(default_factory=list, max_length=64)


class Comparison(Shape):
    """What a worker concluded; brought in the result of an `evaluate` job and shown as it is.

    That of checkpoints that a person `named` chooses no best one.
    """

    task: Name
    split: Name
    reference: Reference
    rows: Annotated[list[ComparisonRow], Field(max_length=1_000)]
    best: ComparedTo | None
    reason: Text
    alpha: Finite | None = None
    margin: Finite | None = None
    planned_mde: Finite | None = None
    named: bool = False


class JobProgress(Shape):
    done: int
    total: int
    text: str


class Submitted(Shape):
    """What a job that begins a run is to train; `processes` null: one for each GPU."""

    recipe: str
    overrides: list[str]
    box: str | None
    processes: int | None
    author: str


class Exported(Shape):
    """What an export job wrote, on the box of the worker. `lost`: share of the update that merging lost."""

    step: int
    merged: bool
    folder: Text | None
    sha256: Text | None
    bytes: int | None
    lost: Finite | None
    serve: Text | None


class Job(Shape):
    id: str
    kind: Literal["train", "evaluate", "verify", "export"]
    run_id: str
    state: Literal["queued", "leased", "done", "failed"]
    worker: str | None
    submitted: Submitted | None
    progress: JobProgress | None
    error: str | None
    attempts: int
    cancelled_by: str | None
    exported: Exported | None
    created_at: str
    started_at: str | None
    finished_at: str | None


class Evaluations(Shape):
    evaluations: list[RunEvaluation]
    comparison: Comparison | None


class Jobs(Shape):
    jobs: list[Job]


class ClaimedJob(Shape):
    id: str
    kind: Literal["train", "evaluate", "verify", "export"]
    run_id: str
    payload: Json
    token: int
    attempt: int
    lease_s: float


class Lease(Shape):
    """`cancelled_by`: who asked that the job ends; its worker is to end it as failed."""

    lease_s: float
    cancelled_by: str | None


class LogPart(Shape):
    """The last lines of what a worker wrote since it claimed the job, of `total`."""

    worker: str | None
    total: int
    lines: list[str]
    updated_at: str


class JobLog(Shape):
    job: Job
    parts: list[LogPart]


class Stored(Shape):
    stored: bool


class JobState(Shape):
    state: Literal["done", "failed"]


def job(row: Any) -> dict[str, Any]:
    """Return a `Job`."""
    times = {name: when(getattr(row, name)) for name in ("created_at", "started_at", "finished_at")}
    new = jobs.is_new_training(row)
    submitted = {name: row.payload[name] for name in Submitted.model_fields} if new else None
    return {**columns(row, _JOB), "submitted": submitted, "exported": _exported(row), **times}


def log_part(row: Any) -> dict[str, Any]:
    """Return a `LogPart`."""
    own = {"worker": row.worker, "total": row.total, "updated_at": when(row.updated_at)}
    return {**own, "lines": row.lines.split("\n") if row.lines else []}


def _exported(row: Any) -> dict[str, Any] | None:
    """Return an `Exported`, its values None until it is done; None of a job of another kind."""
    if row.kind != "export":
        return None
    brought = (row.result or {}).get("export") or {}
    names = ("folder", "sha256", "bytes", "lost", "serve")
    return {
        "step": row.payload["step"],
        "merged": row.payload["merged"],
        **{name: brought.get(name) for name in names},
    }


def roles_of(row: Any, aliases: Mapping[str, str]) -> list[str]:
    """Return an evaluation's roles: a worker's are those it scored for, of others where aliases (to ids) point now."""
    if row.job_id is not None or row.step == 0:
        return list(row.scores.get("roles", ()))
    return sorted(alias for alias, points_at in aliases.items() if points_at == row.checkpoint_id)


def evaluation(row: Any, aliases: Mapping[str, str]) -> dict[str, Any]:
    """Return a `RunEvaluation`."""
    own = columns(
        row, ("id", "run_id", "checkpoint_id", "step", "task", "split", "source", "author")
    )
    # Not told by evaluations stored before 2026-11-30, or by those that others made.
    unknown = dict.fromkeys(
        ("fixed_low", "fixed_high", "maj_at_k", "maj_low", "maj_high", "preset", "engine")
    )
    told = {**row.scores, "roles": roles_of(row, aliases)}
    bound = _is_bound(row.scores)
    return {**own, **unknown, **told, "fixed_bound": bound, "created_at": when(row.created_at)}


def _is_bound(told: Mapping[str, Any]) -> bool | None:
    """Return `Estimate.fixed_bound` of the numbers that are stored, None where they tell of no fixed set.

    Greedy decoding has no error of sampling: its interval has no width.
    """
    low, high = told.get("fixed_low"), told.get("fixed_high")
    if low is None or high is None:
        return None
    return bool(told["samples_per_problem"] == 1 and low < high)


def scores(data: RunData) -> list[dict[str, Any]]:
    """Return the run's `RunEvaluation` objects, by step."""
    aliases = {alias: row.id for alias, row in data.registered.aliases.items()}
    return [evaluation(row, aliases) for row in data.evaluations]


def comparison(data: RunData) -> dict[str, Any] | None:
    """Return the run's latest `Comparison` of its candidates, else of those named, None without any."""
    done = [
        row for row in data.jobs if row.kind == "evaluate" and row.state == "done" and row.result
    ]
    of_all = [row for row in done if not row.payload.get("named")]
    found = next((row.result.get("comparison") for row in of_all or done), None)
    if found is None or of_all:
        return found and {**found, "named": False}
    return {**found, "best": None, "named": True}
