"""Verifications of a run as the policy sees them: each row with what became of its command or job."""

from collections.abc import Mapping, Sequence
from typing import Any

from cusp.verification.sequential import Comparison
from monitor.policy.verify import LookState, PastLook
from monitor.store.deletion import POLICY

PINS = "verification"  # the author of commands that pin candidates for a worker, and let them go
# Until a free worker, which asks every few seconds, has claimed the job, or claimed it anew after the lease of one
# that was lost; then none is there.
UNCLAIMED_S = 120.0
_PENDING = ("open", "delivered", "agreed")
_FAILED = {
    "done": "it was done without scores",
    "queued": "no worker with a free device took it",
    "leased": "its worker was lost, and no other one took it",
}


def looks(rows: Sequence[Any], cuts: Mapping[int, int], now: float) -> list[PastLook]:
    """Return the run's looks, oldest first; `cuts` are the ends of its attempts, `now` UTC seconds."""
    return [
        PastLook(
            step=row.step,
            evidence=row.evidence,
            state=state(row, cuts, now),
            measured=row.measured_step,
            completions=row.completions or 0,
            known=earlier_scores(row),
            attempt=row.attempt_id,
            id=row.id,
            comparisons=comparisons(row),
            sure=row.by == "eval",
            number=row.number,
            suspected=row.suspected,
            by_person=row.author != POLICY,
        )
        for row in rows
    ]


def state(row: Any, cuts: Mapping[int, int], now: float) -> LookState:
    """Return what became of a verification; without an outcome its command or job says."""
    if row.outcome is not None:
        there = row.measured_step < cuts.get(row.attempt_key, 0)
        outcome: LookState = row.outcome if there else "superseded"
        return outcome
    return "pending" if _waits(row, now) else "unavailable"


def progress(row: Any, now: float) -> tuple[str, str | None]:
    """Return how far an unanswered verification is, a command's or job's state, and why it ended."""
    asked = row.command_state or row.job_state
    if _waits(row, now):
        return asked, None
    reason = row.state_reason or row.error or abandoned(asked)
    return ("failed" if asked in _FAILED else asked), reason


def abandoned(job_state: str) -> str | None:
    """Return why a job that is still in this state brings no scores any more, None in another state."""
    return _FAILED.get(job_state)


def _waits(row: Any, now: float) -> bool:
    """Return whether scores may still come from the command or job."""
    if row.command_state is not None:
        return row.command_state in _PENDING
    since = row.created_at if row.job_state == "queued" else row.lease_until
    return row.job_state in ("queued", "leased") and now - since <= UNCLAIMED_S


def verifier_of(row: Any) -> str:
    """Return who scored or is to score: training, function, worker, or the training's own eval."""
    if row.job_id is not None:
        return "worker"
    return str(row.by or "training")


def comparisons(row: Any) -> tuple[Comparison, ...]:
    """Return the paired comparisons with the earlier checkpoints, by step."""
    return tuple(Comparison(**one) for one in row.comparisons or ())


def earlier_scores(row: Any) -> dict[int, list[float | None]]:
    """Return the scores of the earlier checkpoints by step."""
    found = {int(step): scores for step, scores in (row.scores or {}).items()}
    return {step: found[step] for step in sorted(found) if step != row.measured_step}
