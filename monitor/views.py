"""The JSON shapes of docs/reference/rest.md, made from rows. Used by REST, events and pages alike."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from monitor import left_out, possible, run_readings, superseded, times, words
from monitor.kept import kept
from monitor.role_view import roles_view
from monitor.run_readings import Readings
from monitor.store import (
    checkpoints,
    commands,
    evaluations,
    findings,
    points,
    quarantine,
    runs,
)
from monitor.store.database import Transaction

SET_ASIDE_SHOWN = 5


def when(seconds: float | None) -> str | None:
    """Return a time in ISO 8601, UTC, or None.

    >>> when(0.0)
    '1970-01-01T00:00:00.000Z'
    """
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def summary(run: Any, found: Readings, now: float, lost_after_s: float) -> dict[str, Any]:
    """Return the `Run` of the runs table, of its row and what was read besides."""
    attempts, aliases = found.attempts, found.aliases
    verdict = run.verdict or {}
    transition = verdict.get("transition")
    last_step = run.last_step
    max_steps = run.metadata.get("max_steps")
    elapsed_s = times.elapsed_s(attempts)
    status = _status(run, now, lost_after_s, stopping=found.stopping)
    return {
        "id": run.id,
        "project": run.project,
        "name": run.name,
        "tags": run.tags,
        "status": status,
        "status_reason": run.status_reason,
        "phase": verdict.get("phase", "warming_up"),
        "phase_words": words.PHASE_WORDS[verdict.get("phase", "warming_up")],
        "words": words.of_run(status, last_step, verdict),
        "step": last_step,
        "max_steps": max_steps,
        "attempts": len(attempts),
        "created_at": when(run.created_at),
        "started_at": when(
            min((times.span(row).first for row in attempts), default=run.created_at)
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
    found = run_readings.read(tx, [run])[run.id]
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
        "no_evaluation": possible.no_evaluation(run.id, run.metadata),
        "no_resume": possible.no_resume(run, shown["status"], step=0),
        "evidence": (run.verdict or {}).get("evidence", []),
        "score_now": (run.verdict or {}).get("score", 0.0),
        "watch": (run.verdict or {}).get("watch"),
        "confirm": (run.verdict or {}).get("confirm"),
        "commands": [command(row) for row in asked],
        "kept": _kept(tx, run.id, asked),
        "decisions": [decision(row) for row in findings.decisions_of(tx, run.id)],
        "change_points": [change_point(row) for row in findings.change_points_of(tx, run.id)],
        "left_out": left_out.shown(run.left_out),
        "set_aside": [
            set_aside(row, numbers) for row in quarantine.latest(tx, run.id, SET_ASIDE_SHOWN)
        ],
        "attempt_list": [attempt(row, number) for number, row in enumerate(attempts, 1)],
        "still_training": superseded.alive(attempts, now, lost_after_s),
    }


def attempt(row: Any, number: int) -> dict[str, Any]:
    """Return an `Attempt`; `outrun` counts its points from after a later one took the run over."""
    lived = times.span(row)
    return {
        "number": number,
        **_fields(row, ("id", "host", "first_step", "last_step", "status", "status_reason")),
        "started_at": when(lived.first),
        "last_sign_at": when(lived.last),
        "elapsed_s": round(lived.seconds, 1),
        "superseded_at": when(row.superseded_at),
        "outrun": row.outrun + row.withheld,
    }


def set_aside(row: Any, numbers: Mapping[int, int]) -> dict[str, Any]:
    """Return a `SetAside`: a message that could not be taken, as text."""
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


def series(found: Sequence[points.Series], numbers: Mapping[int, int]) -> list[dict[str, Any]]:
    """Return `Series` objects; `numbers` gives the attempt's number for its key."""
    return [
        {
            "name": one.name,
            "made_of": one.made_of,
            "steps": one.steps,
            "values": one.values,
            "attempts": [numbers.get(key, 0) for key in one.attempts],
            "superseded": {
                "steps": [step for step, _, _ in one.superseded],
                "values": [value for _, value, _ in one.superseded],
                "attempts": [numbers.get(key, 0) for _, _, key in one.superseded],
            },
        }
        for one in found
        if one.name != points.AT
    ]


def attempt_numbers(rows: Sequence[Any]) -> dict[int, int]:
    """Return {attempt key: number}, numbered from 1 in the order of their lives."""
    return {row.key: number for number, row in enumerate(rows, 1)}


def verdicts(rows: Sequence[Any], latest: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return `Verdicts`: columns, each as long as `steps`."""
    metrics = sorted({metric for row in rows for metric in row.evidence})
    return {
        "steps": [row.step for row in rows],
        "phases": [row.phase for row in rows],
        "scores": [row.score for row in rows],
        "evidence": {metric: [row.evidence.get(metric, 0.0) for row in rows] for metric in metrics},
        "watch": (latest or {}).get("watch"),
        "confirm": (latest or {}).get("confirm"),
    }


def command(row: Any) -> dict[str, Any]:
    """Return a `Command`."""
    times = {name: when(getattr(row, name)) for name in _COMMAND_TIMES}
    return {**_fields(row, _COMMAND), **times, "expires_at": when(commands.expires_at(row))}


def decision(row: Any) -> dict[str, Any]:
    """Return a `Decision`."""
    return {**_fields(row, _DECISION), "created_at": when(row.created_at)}


def change_point(row: Any) -> dict[str, Any]:
    """Return a `ChangePoint`."""
    return _fields(row, _CHANGE_POINT)


def job(row: Any) -> dict[str, Any]:
    """Return a `Job`."""
    times = {name: when(getattr(row, name)) for name in ("created_at", "started_at", "finished_at")}
    return {**_fields(row, _JOB), **times}


def sample(row: Any) -> dict[str, Any]:
    """Return a `Sample`."""
    return _fields(row, ("step", "prompt", "completion", "rewards"))


def audit_entry(row: Any) -> dict[str, Any]:
    """Return an `AuditEntry`."""
    return {**_fields(row, ("actor", "action", "target", "detail")), "at": when(row.at)}


def token(row: Any) -> dict[str, Any]:
    """Return a `Token`, without the hash of its secret."""
    times = {name: when(getattr(row, name)) for name in _TOKEN_TIMES}
    return {**_fields(row, _TOKEN), **times}


def evaluation(row: Any) -> dict[str, Any]:
    """Return an `Evaluation`."""
    fields = _fields(row, ("id", "run_id", "checkpoint_id", "step", "task", "split"))
    return {**fields, **row.scores, "created_at": when(row.created_at)}


def checkpoint_list(
    tx: Transaction, run_id: str, evaluated: Sequence[Any] | None = None
) -> list[dict[str, Any]]:
    """Return the run's `Checkpoint` objects with aliases and scores, by step.

    `evaluated` are its evaluations if they were read before.
    """
    evaluated = evaluations.of_run(tx, run_id) if evaluated is None else evaluated
    by_checkpoint: dict[str, list[str]] = {}
    for alias, checkpoint_id in sorted(checkpoints.aliases_of(tx, run_id).items()):
        by_checkpoint.setdefault(checkpoint_id, []).append(alias)
    scores: dict[str, list[dict[str, Any]]] = {}
    for row in evaluated:
        if row.checkpoint_id:
            scores.setdefault(row.checkpoint_id, []).append(_score_of(row))
    numbers = attempt_numbers(runs.attempts_of(tx, run_id))
    moved = checkpoints.moves(tx, run_id)
    return [
        {
            **_fields(row, ("id", "run_id", "step", "state", "pinned", "path", "bytes", "sha256")),
            "attempt": numbers.get(row.attempt_key, 0),
            "aliases": by_checkpoint.get(row.id, []),
            "created_at": when(row.created_at),
            "checked_at": when(row.checked_at),
            "verified": checkpoints.verified(row, moved.get(row.id)),
            "scores": scores.get(row.id, []),
        }
        for row in checkpoints.of_run(tx, run_id)
    ]


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
_CHANGE_POINT = ("id", "kind", "step", "low", "high", "state", "seen_at_step", "words", "evidence")
_TOKEN = ("id", "name", "scopes", "project", "run_id", "created_by", "revoked_by")
_TOKEN_TIMES = ("created_at", "last_used_at", "revoked_at")
_JOB = ("id", "kind", "run_id", "state", "progress", "error", "attempts")


def _fields(row: Any, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}


def _kept(tx: Transaction, run_id: str, asked: Sequence[Any]) -> dict[str, Any] | None:
    row = kept(asked, checkpoints.of_run(tx, run_id), checkpoints.aliases_of(tx, run_id))
    return _fields(row, ("id", "step", "path", "pinned")) if row is not None else None


def _score_of(row: Any) -> dict[str, Any]:
    names = ("pass_at_1", "low", "high")
    score = {name: row.scores.get(name) for name in names}
    return {"task": row.task, "split": row.split, **score, "n": row.scores.get("n_problems")}


def _score(reported: Sequence[Any], aliases: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the report-set score of the best checkpoint, else of the pre-transition one."""
    for alias in ("best", "pre-transition"):
        for row in reported:
            if alias in aliases and row.checkpoint_id == aliases[alias]["id"]:
                return {"alias": alias, "step": row.step, **_score_of(row)}
    return None


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
