"""The `Run` of docs/reference/rest.md, as /openapi.json declares it and as it is made from rows."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from cusp.protocol.run import Policy, RunMetadata
from monitor.clock import when
from monitor.database.engine import Transaction
from monitor.policy import availability
from monitor.roles.view import roles_view
from monitor.runs import durations, left_out, sentence, superseded
from monitor.schemas.base import Json, Phase, Shape, columns
from monitor.schemas.checkpoint import CheckpointRef, Kept, Score, best_score, kept
from monitor.schemas.cost import stopped_of, training_of
from monitor.schemas.readings import Readings, sparklines
from monitor.schemas.run_data import RunData
from monitor.schemas.series import ChangePoint, Evidence, change_point
from monitor.store import commands

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
    kind: Literal["stop", "keep", "save", "verify", "release"]
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
    notes: str | None
    config: Json
    policy: Policy
    metadata: RunMetadata
    roles: Roles
    kept: Kept | None
    evaluation_blocked: str | None
    verification_blocked: str | None
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


class RunColumns(Shape):
    metrics: list[str]
    config: list[str]


class Health(Shape):
    status: Literal["ok", "not ready"]
    detail: str | None = None


def summary(run: Any, found: Readings | RunData, now: float, lost_after_s: float) -> dict[str, Any]:
    """Return the `RunSummary` of a row and what was read besides."""
    return {
        **_head(run, now, lost_after_s, stopping=found.stopping),
        **_lifetime(run, found.attempts),
        **_values(found),
        **_scored(found),
        "quarantined": found.quarantined,
    }


def detail(
    data: RunData, now: float, lost_after_s: float, parts: Iterable[str] | None = None
) -> dict[str, Any]:
    """Return the `Run`, or with `parts` (names of PARTS) only what its row says and these.

    A table that no part needs is not read.
    """
    head = _head(data.run, now, lost_after_s, stopping=data.stopping)
    found = {
        **head,
        **columns(data.run, ("notes", "config", "policy", "metadata")),
        "evaluation_blocked": availability.evaluation_blocked(data.run.id, data.run.metadata),
        "verification_blocked": availability.verification_blocked(data.run.metadata),
        "resume_blocked": availability.resume_blocked(data.run, head["status"], step=0),
        **_judged(data.run.verdict or {}),
        "left_out": left_out.shown(data.run.left_out),
        "commands": [command(row) for row in data.commands],
    }
    for part in PARTS if parts is None else parts:
        found |= PARTS[part](data)
    if "attempts" in found:
        found["still_training"] = superseded.alive(data.attempts, now, lost_after_s)
    return found


def _head(run: Any, now: float, lost_after_s: float, *, stopping: bool) -> dict[str, Any]:
    """Return what of a summary the run's row tells."""
    verdict = run.verdict or {}
    status = _status(run, now, lost_after_s, stopping=stopping)
    max_steps = run.metadata.get("max_steps")
    return {
        **columns(run, ("id", "project", "name", "tags", "status_reason", "cursor")),
        "status": status,
        "phase": verdict.get("phase", "warming_up"),
        "phase_description": sentence.PHASE_WORDS[verdict.get("phase", "warming_up")],
        "words": sentence.of_run(status, run.last_step, verdict),
        "step": run.last_step,
        "max_steps": max_steps,
        "created_at": when(run.created_at),
        "ended_at": when(run.ended_at),
        "last_contact_at": when(run.last_contact_at),
        "deleted_at": when(run.deleted_at),
        "transition": verdict.get("transition"),
        "saved_fraction": _saved_fraction(run, run.last_step, max_steps),
    }


def _lifetime(run: Any, attempts: Sequence[Any]) -> dict[str, Any]:
    """Return what of a summary the attempts tell."""
    elapsed_s = durations.elapsed_s(attempts)
    starts = (durations.span(row).first for row in attempts)
    return {
        "attempt_count": len(attempts),
        "started_at": when(min(starts, default=run.created_at)),
        "elapsed_s": round(elapsed_s, 1),
        **_cost(run, attempts),
        "skipped": sum(row.skipped for row in attempts),
        "dropped": sum(row.dropped + row.lost for row in attempts),
    }


def _values(found: Readings | RunData) -> dict[str, Any]:
    return {
        "latest": {name: line[-1] for name, line in found.values.items() if line},
        "sparklines": sparklines(found.values),
    }


def _scored(found: Readings | RunData) -> dict[str, Any]:
    aliases = found.aliases
    return {"checkpoints": aliases, "score": best_score(found.reported, aliases)}


def _attempts(data: RunData) -> dict[str, Any]:
    return {
        **_lifetime(data.run, data.attempts),
        "attempts": [attempt(row, number) for number, row in enumerate(data.attempts, 1)],
        "quarantined": data.quarantined,
        "quarantine": [quarantined_message(row, data.numbers) for row in data.quarantine],
    }


def _judged(verdict: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "evidence": verdict.get("evidence", []),
        "detection_score": verdict.get("score", 0.0),
        "watch": verdict.get("watch"),
        "confirm": verdict.get("confirm"),
    }


PARTS: Mapping[str, Callable[[RunData], dict[str, Any]]] = {
    "attempts": _attempts,
    "values": _values,
    "scores": _scored,
    "kept": lambda data: {"kept": kept(data)},
    "decisions": lambda data: {"decisions": [decision(row) for row in data.decisions]},
    "change_points": lambda data: {
        "change_points": [change_point(row) for row in data.change_points]
    },
    "roles": lambda data: {"roles": roles_view(data.names, data.run.metadata)},
}
"""The parts of a `Run` that are made of other tables than its own and the commands."""


def attempt(row: Any, number: int) -> dict[str, Any]:
    """Return an `Attempt`; `outrun` counts its points from after a later one took the run over."""
    lived = durations.span(row)
    return {
        "number": number,
        **columns(row, ("id", "host", "first_step", "last_step", "status", "status_reason")),
        "started_at": when(lived.first),
        "last_sign_at": when(lived.last),
        "elapsed_s": round(lived.seconds, 1),
        "superseded_at": when(row.superseded_at),
        "outrun": row.outrun + row.withheld,
    }


def quarantined_message(row: Any, numbers: Mapping[int, int]) -> dict[str, Any]:
    """Return a `QuarantinedMessage`: a message that could not be taken, as text."""
    attempt = numbers.get(row.attempt_key, 0)
    return {"attempt": attempt, **columns(row, ("seq", "reason", "body")), "at": when(row.at)}


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
    return {**columns(row, _COMMAND), **times, "expires_at": when(commands.expires_at(row))}


def decision(row: Any) -> dict[str, Any]:
    """Return a `Decision`."""
    return {**columns(row, _DECISION), "created_at": when(row.created_at)}


def _saved_fraction(run: Any, last_step: int | None, max_steps: int | None) -> float | None:
    if run.status != "stopped" or not max_steps or last_step is None:
        return None
    return round(max(0.0, 1 - last_step / max_steps), 4)


def _cost(run: Any, attempts: Sequence[Any]) -> dict[str, float | None]:
    """Return what the training has cost, and what its stop saved; the `Cost` has the rest."""
    training = training_of(run, attempts)
    spent, saved = training.spent(), training.saved(stopped_of(run))
    return {"spent_usd": _cents(spent.usd), "saved_usd": _cents(saved.usd if saved else None)}


def _cents(usd: float | None) -> float | None:
    return None if usd is None else round(usd, 2)
