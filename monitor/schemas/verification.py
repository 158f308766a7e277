"""The `Verification` of docs/reference/rest.md, made from rows. Used by REST and pages alike."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any, Literal

from monitor.clock import when
from monitor.policy import availability
from monitor.runs import looks
from monitor.schemas.base import Json, Shape, columns
from monitor.schemas.run_data import RunData
from monitor.store import runs

_ASKED = (
    *("id", "run_id", "number", "author", "reason", "step", "evidence", "candidates", "stages"),
    *("alpha", "budget", "command_id", "job_id", "measured_step", "capital"),
)
_FOLLOWED = {
    "superseded": "Nothing: a resumed attempt has left these weights behind.",
    "not_worse": "The suspicion is refuted; only a later change counts.",
    "unsuspected": "Nothing: nothing was suspected.",
    "undecided": "It is looked at again after some steps, or when the evidence has grown.",
}


class Scored(Shape):
    step: int
    mean: float | None
    problems: int


class Comparison(Shape):
    step: int
    difference: float
    low: float
    high: float
    problems: int


class Verification(Shape):
    id: str
    run_id: str
    number: int
    author: str
    reason: str
    step: int
    evidence: float
    candidates: list[int]
    stages: list[int]
    alpha: float
    budget: int
    command_id: str | None
    job_id: str | None
    by: Literal["training", "function", "worker", "eval"]
    state: Literal[
        "open",
        "delivered",
        "agreed",
        "queued",
        "leased",
        "worse",
        "not_worse",
        "undecided",
        "superseded",
        "refused",
        "expired",
        "failed",
    ]
    state_reason: str | None
    created_at: str
    done_at: str | None
    measured_step: int | None
    attempt: int | None
    scored: list[Scored]
    comparisons: list[Comparison]
    capital: float | None
    completions: int
    seconds: float
    followed: str | None


class Cost(Shape):
    completions: int
    seconds: float
    budget: int


class Verifications(Shape):
    verifications: list[Verification]
    blocked: str | None
    cost: Cost


def verifications(data: RunData, now: float) -> dict[str, Any]:
    """Return the run's `Verifications`, newest first; `blocked` says why nothing can verify."""
    rows = data.verifications
    return {
        "verifications": [verification(data, row, now) for row in reversed(rows)],
        "blocked": availability.verification_blocked(data.run.metadata),
        "cost": {
            "completions": sum(row.completions or 0 for row in rows),
            "seconds": round(sum(row.seconds or 0.0 for row in rows), 1),
            "budget": data.run.policy.get("verify_budget") or 0,
        },
    }


def verification(data: RunData, row: Any, now: float) -> dict[str, Any]:
    """Return one `Verification`; `state` is its outcome, or how far its command or job is."""
    found = looks.state(row, runs.cuts(data.attempts), now)
    state, reason = (found, None) if row.outcome else looks.progress(row, now)
    return {
        **columns(row, _ASKED),
        "by": looks.verifier_of(row),
        "state": state,
        "state_reason": reason,
        "created_at": when(row.created_at),
        "done_at": when(row.done_at),
        "attempt": data.numbers.get(row.attempt_key),
        "scored": [_scored(int(step), scores) for step, scores in _by_step(row.scores)],
        "comparisons": row.comparisons or [],
        "completions": row.completions or 0,
        "seconds": row.seconds or 0.0,
        "followed": _followed(data, row, str(state)),
    }


def _by_step(scores: Json | None) -> list[tuple[str, list[float | None]]]:
    return sorted((scores or {}).items(), key=lambda item: int(item[0]))


def _scored(step: int, scores: Sequence[float | None]) -> Json:
    found = [score for score in scores if score is not None]
    return {
        "step": step,
        "mean": round(fmean(found), 4) if found else None,
        "problems": len(found),
    }


def _followed(data: RunData, row: Any, state: str) -> str | None:
    """Return what followed from an outcome, in words."""
    if state != "worse":
        refuted = state != "not_worse" or row.suspected
        return _FOLLOWED.get(state if refuted else "unsuspected")
    kinds: Mapping[str, Any] = {
        one.kind: one for one in data.decisions if one.finding == f"verification {row.id}"
    }
    said = []
    if "keep" in kinds:
        said.append(f"the checkpoint of step {kinds['keep'].checkpoint_step} is kept")
    if "stop" in kinds:
        said.append("the run was told to stop")
    if "propose" in kinds:
        said.append("to stop the run was proposed to a person")
    if not said and _decided_before(data, row):
        return "Nothing anew: it bears out what was decided before."
    words = ", and ".join(said) or (
        "the same checkpoints are scored once more some steps later: a dip heals. The signals may confirm it before"
    )
    return f"{words[0].upper()}{words[1:]}."


def _decided_before(data: RunData, row: Any) -> bool:
    """Return whether an earlier verification was decided on, and none since found that it has healed."""
    cuts, decided = runs.cuts(data.attempts), {one.finding for one in data.decisions}
    for one in reversed([each for each in data.verifications if each.id < row.id]):
        if looks.state(one, cuts, row.created_at) in ("not_worse", "superseded"):
            return False
        if f"verification {one.id}" in decided:
            return True
    return False
