"""The JSON objects of docs/reference/rest.md, as /openapi.json declares them.

For the document only: views.py makes the objects, and the fuzz tests hold every answer against these.
"""

from collections.abc import Mapping
from typing import Any, Literal

from cusp.protocol.run import Policy, RunMetadata
from monitor.clock import when
from monitor.database.engine import Transaction
from monitor.policy import availability
from monitor.roles.view import roles_view
from monitor.runs import durations, left_out, sentence, superseded
from monitor.schemas import readings
from monitor.schemas.base import Json, Phase, Shape, _fields, attempt_numbers
from monitor.schemas.checkpoint import CheckpointRef, Kept, Score, _kept, _score
from monitor.schemas.readings import Readings
from monitor.schemas.series import ChangePoint, Evidence, change_point
from monitor.store import commands, quarantine
from monitor.store import verdicts as verdicts_table


class Transition(Shape):
    step: int
    low: int
    high: int
    safe_step: int
    seen_at_step: int
    state: Literal["provisional", "confirmed", "revised", "dismissed"]


class RunScore(Score):
    alias: str
    step: int


class RunSummary(Shape):
    id: str
    project: str
    name: str
    tags: list[str]
    status: Literal["running", "stopping", "stopped", "finished", "failed", "lost"]
    status_reason: str | None
    phase: Phase
    phase_description: str
    words: str
    step: int | None
    max_steps: int | None
    attempt_count: int
    created_at: str
    started_at: str
    ended_at: str | None
    elapsed_s: float
    last_contact_at: str
    deleted_at: str | None
    latest: dict[str, float]
    sparklines: dict[str, list[float]]
    transition: Transition | None
    checkpoints: dict[str, CheckpointRef]
    score: RunScore | None
    saved_fraction: float | None
    spent_usd: float | None
    saved_usd: float | None
    quarantined: int
    skipped: int
    dropped: int
    cursor: int


class RunCommand(Shape):
    id: str
    run_id: str
    kind: Literal["stop", "keep", "save"]
    mode: Literal["graceful", "after_save"]
    steps: list[int]
    reason: str
    author: str
    state: Literal["open", "delivered", "agreed", "done", "refused", "expired"]
    state_reason: str | None
    step: int | None
    created_at: str
    delivered_at: str | None
    agreed_at: str | None
    done_at: str | None
    expires_at: str | None


class Decision(Shape):
    id: str
    kind: Literal["keep", "stop", "propose", "evaluate", "promote"]
    step: int | None
    checkpoint_step: int | None
    reason: str
    author: str
    created_at: str


class QuarantinedMessage(Shape):
    attempt: int
    seq: int
    reason: str
    body: str
    at: str


class LeftOutMetric(Shape):
    name: str
    reason: str
    count: int
    step: int


class LeftOut(Shape):
    metrics: list[LeftOutMetric]
    more: int
    fields: dict[str, int]
    start: list[str]


class Attempt(Shape):
    number: int
    id: str
    host: str | None
    started_at: str
    last_sign_at: str
    elapsed_s: float
    first_step: int | None
    last_step: int | None
    status: str
    status_reason: str | None
    superseded_at: str | None
    outrun: int


class RoleKey(Shape):
    key: str
    role: str | None
    source: Literal["rule", "told"] | None
    by_rule: str | None


class Roles(Shape):
    told: dict[str, list[str]]
    made_of: dict[str, str]
    keys: list[RoleKey]
    others: list[str]
    unrecognised: list[str]
    words: list[str]


class Run(RunSummary):
    config: Json
    policy: Policy
    metadata: RunMetadata
    roles: Roles
    kept: Kept | None
    evaluation_blocked: str | None
    resume_blocked: str | None
    evidence: list[Evidence]
    detection_score: float
    watch: float | None
    confirm: float | None
    commands: list[RunCommand]
    decisions: list[Decision]
    change_points: list[ChangePoint]
    left_out: LeftOut
    quarantine: list[QuarantinedMessage]
    attempts: list[Attempt]
    still_training: list[int]


class Announced(Shape):
    id: str
    url: str
    refused: list[str]
    ignored: list[str]


class Runs(Shape):
    runs: list[RunSummary]
    total: int
    first: int
    next: str | None


class Health(Shape):
    status: Literal["ok", "not ready"]
    detail: str | None = None


QUARANTINED_SHOWN = 5


def summary(run: Any, found: Readings, now: float, lost_after_s: float) -> dict[str, Any]:
    """Return the `Run` of the runs table, of its row and what was read besides."""
    attempts, aliases = found.attempts, found.aliases
    verdict = run.verdict or {}
    transition = verdict.get("transition")
    last_step = run.last_step
    max_steps = run.metadata.get("max_steps")
    elapsed_s = durations.elapsed_s(attempts)
    status = _status(run, now, lost_after_s, stopping=found.stopping)
    return {
        "id": run.id,
        "project": run.project,
        "name": run.name,
        "tags": run.tags,
        "status": status,
        "status_reason": run.status_reason,
        "phase": verdict.get("phase", "warming_up"),
        "phase_description": sentence.PHASE_WORDS[verdict.get("phase", "warming_up")],
        "words": sentence.of_run(status, last_step, verdict),
        "step": last_step,
        "max_steps": max_steps,
        "attempt_count": len(attempts),
        "created_at": when(run.created_at),
        "started_at": when(
            min((durations.span(row).first for row in attempts), default=run.created_at)
        ),
        "ended_at": when(run.ended_at),
        "elapsed_s": round(elapsed_s, 1),
        "last_contact_at": when(run.last_contact_at),
        "deleted_at": when(run.deleted_at),
        "latest": found.latest,
        "sparklines": found.sparklines,
        "transition": transition,
        "checkpoints": aliases,
        "score": _score(found.reported, aliases),
        "saved_fraction": _saved_fraction(run, last_step, max_steps),
        **_cost(run, elapsed_s, last_step, max_steps),
        "quarantined": found.quarantined,
        "skipped": sum(row.skipped for row in attempts),
        "dropped": sum(row.dropped + row.lost for row in attempts),
        "cursor": run.cursor,
    }


def detail(tx: Transaction, run: Any, now: float, lost_after_s: float) -> dict[str, Any]:
    """Return the `Run` with everything its page shows in words."""
    found = readings.read(tx, [run])[run.id]
    attempts = found.attempts
    numbers = attempt_numbers(attempts)
    shown = summary(run, found, now, lost_after_s)
    asked = commands.of_run(tx, run.id)
    return {
        **shown,
        "config": run.config,
        "policy": run.policy,
        "metadata": run.metadata,
        "roles": roles_view(found.names, run.metadata),
        "evaluation_blocked": availability.evaluation_blocked(run.id, run.metadata),
        "resume_blocked": availability.resume_blocked(run, shown["status"], step=0),
        "evidence": (run.verdict or {}).get("evidence", []),
        "detection_score": (run.verdict or {}).get("score", 0.0),
        "watch": (run.verdict or {}).get("watch"),
        "confirm": (run.verdict or {}).get("confirm"),
        "commands": [command(row) for row in asked],
        "kept": _kept(tx, run.id, asked),
        "decisions": [decision(row) for row in verdicts_table.decisions_of(tx, run.id)],
        "change_points": [change_point(row) for row in verdicts_table.change_points_of(tx, run.id)],
        "left_out": left_out.shown(run.left_out),
        "quarantine": [
            quarantined_message(row, numbers)
            for row in quarantine.latest(tx, run.id, QUARANTINED_SHOWN)
        ],
        "attempts": [attempt(row, number) for number, row in enumerate(attempts, 1)],
        "still_training": superseded.alive(attempts, now, lost_after_s),
    }


def attempt(row: Any, number: int) -> dict[str, Any]:
    """Return an `Attempt`; `outrun` counts its points from after a later one took the run over."""
    lived = durations.span(row)
    return {
        "number": number,
        **_fields(row, ("id", "host", "first_step", "last_step", "status", "status_reason")),
        "started_at": when(lived.first),
        "last_sign_at": when(lived.last),
        "elapsed_s": round(lived.seconds, 1),
        "superseded_at": when(row.superseded_at),
        "outrun": row.outrun + row.withheld,
    }


def quarantined_message(row: Any, numbers: Mapping[int, int]) -> dict[str, Any]:
    """Return a `QuarantinedMessage`: a message that could not be taken, as text."""
    attempt = numbers.get(row.attempt_key, 0)
    return {"attempt": attempt, **_fields(row, ("seq", "reason", "body")), "at": when(row.at)}


def status_of(tx: Transaction, run: Any, now: float, lost_after_s: float) -> str:
    """Return the run's status; a silent trainer is `lost`, never called crashed on a guess."""
    return _status(run, now, lost_after_s, stopping=bool(commands.stopping(tx, [run.id])))


def _status(run: Any, now: float, lost_after_s: float, *, stopping: bool) -> str:
    if run.status != "running":
        return str(run.status)
    if now - run.last_contact_at > lost_after_s:
        return "lost"
    return "stopping" if stopping else "running"


def command(row: Any) -> dict[str, Any]:
    """Return a `Command`."""
    times = {name: when(getattr(row, name)) for name in _COMMAND_TIMES}
    return {**_fields(row, _COMMAND), **times, "expires_at": when(commands.expires_at(row))}


def decision(row: Any) -> dict[str, Any]:
    """Return a `Decision`."""
    return {**_fields(row, _DECISION), "created_at": when(row.created_at)}


_COMMAND = (
    "id",
    "run_id",
    "kind",
    "mode",
    "steps",
    "reason",
    "author",
    "state",
    "state_reason",
    "step",
)
_COMMAND_TIMES = ("created_at", "delivered_at", "agreed_at", "done_at")
_DECISION = ("id", "kind", "step", "checkpoint_step", "reason", "author")


def _saved_fraction(run: Any, last_step: int | None, max_steps: int | None) -> float | None:
    if run.status != "stopped" or not max_steps or last_step is None:
        return None
    return round(max(0.0, 1 - last_step / max_steps), 4)


def _cost(
    run: Any, elapsed_s: float, last_step: int | None, max_steps: int | None
) -> dict[str, float | None]:
    """Return what the trainers' own time has cost; between attempts nothing was rented."""
    price, gpus = run.metadata.get("gpu_hourly_usd"), run.metadata.get("gpu_count")
    if not price or not gpus:
        return {"spent_usd": None, "saved_usd": None}
    spent = elapsed_s / 3600 * price * gpus
    saved = None
    if run.status == "stopped" and last_step and max_steps:
        saved = round(spent * (max_steps / last_step - 1), 2)
    return {"spent_usd": round(spent, 2), "saved_usd": saved}
