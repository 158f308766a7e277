"""Taking the scores of a verification: the test is run here, its outcome stored and told."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from cusp.protocol.messages import VerificationMessage
from cusp.verification.sequential import Verification, sequential_test
from monitor.actions.record import record
from monitor.actions.verify.release import let_go
from monitor.database.engine import Transaction
from monitor.policy.verify import said
from monitor.store import changes, runs
from monitor.store.scores import verifications
from monitor.verdicts.encoding import with_held_out

Scores = Mapping[int, Sequence[float | None]]
WORDS = {
    "worse": "worse than an earlier checkpoint",
    "not_worse": "not worse than the earlier checkpoints",
    "undecided": "not told apart from the earlier checkpoints yet",
}


class Unusable(ValueError):
    """The scores answer nothing; the message says why."""


def take(
    tx: Transaction, run_id: str, attempt_key: int, message: VerificationMessage, now: float
) -> int | None:
    """Take what a trainer scored; return the step from which the verdicts change, None: nowhere.

    Unusable is raised for scores that nobody asked for or that cannot be compared. A repeat changes nothing.
    """
    row = verifications.asked_by(tx, run_id, "command_id", message.command_id)
    if row is None:
        raise Unusable(
            f"no verification of run {run_id} was asked for by command {message.command_id}, so its scores of"
            f" step {message.step} were set aside"
        )
    scores = {int(step): scores for step, scores in message.scores.items()}
    cost = {"completions": message.completions, "seconds": message.seconds, "by": message.by}
    return _answered(tx, row, scores, message.step, attempt_key, now, cost)


def take_result(tx: Transaction, job: Any, result: Mapping[str, Any], now: float) -> int | None:
    """Take what a worker scored, as `take` does."""
    row = verifications.asked_by(tx, job.run_id, "job_id", job.id)
    if row is None:
        raise Unusable(f"no verification of run {job.run_id} was asked for by job {job.id}")
    step = int(job.payload["step"])
    scores = {int(name): scores for name, scores in (result.get("scores") or {}).items()}
    cost: dict[str, Any] = {
        "completions": result.get("completions") or 0,
        "seconds": result.get("seconds") or 0.0,
    }
    cost["by"] = "worker"
    key = _attempt_of(tx, row)
    return _answered(tx, row, scores, step, key, now, cost)


def _answered(
    tx: Transaction,
    row: Any,
    scores: Scores,
    step: int,
    attempt_key: int,
    now: float,
    cost: Mapping[str, Any],
) -> int | None:
    if row.outcome is not None:
        return None
    earlier = {one: scores[one] for one in row.candidates if one in scores and one != step}
    found = _tested(row, scores.get(step), earlier, step)
    kept = {one: scores[one] for one in (*earlier, step)}
    return store(tx, row, found, kept, step, attempt_key, now, cost)


def store(
    tx: Transaction,
    row: Any,
    found: Verification,
    scores: Scores,
    step: int,
    attempt_key: int,
    now: float,
    cost: Mapping[str, Any],
) -> int | None:
    """Store and tell an outcome; return the step from which the verdicts change, None: nowhere."""
    answered = verifications.answer(
        tx,
        row.id,
        outcome=found.outcome,
        measured_step=step,
        attempt_key=attempt_key,
        scores={str(one): list(values) for one, values in scores.items()},
        comparisons=[asdict(one) for one in found.comparisons],
        capital=found.capital,
        done_at=now,
        **cost,
    )
    if not answered:
        return None
    _tell(tx, row, found, step, now, cost)
    _say(tx, row.run_id)
    if found.outcome != "not_worse":
        return None
    let_go(tx, row.run_id, now)
    return step + 1


def _tested(
    row: Any, now: Sequence[float | None] | None, earlier: Scores, step: int
) -> Verification:
    if now is None:
        raise Unusable(f"the scores of verification {row.id} lack those of step {step} itself")
    if not earlier:
        steps = ", ".join(str(one) for one in row.candidates)
        raise Unusable(
            f"the scores of verification {row.id} have none of the earlier checkpoints that were asked for ({steps})"
        )
    try:
        found = sequential_test(now, earlier, alpha=row.alpha)
    except ValueError as error:
        raise Unusable(f"verification {row.id}: {error}") from error
    if not any(one.problems for one in found.comparisons):
        raise Unusable(f"the scores of verification {row.id} have no problem that was decided")
    return found


def _tell(
    tx: Transaction,
    row: Any,
    found: Verification,
    step: int,
    now: float,
    cost: Mapping[str, Any],
) -> None:
    words = (
        f"Step {step} is {WORDS[found.outcome]} on held-out problems:"
        f" {'; '.join(said(one) for one in found.comparisons)}."
    )
    told = {
        "verification_id": row.id,
        "outcome": found.outcome,
        "step": step,
        "comparisons": [asdict(one) for one in found.comparisons],
        "words": words,
        **cost,
    }
    detail = {"outcome": found.outcome, "step": step, "words": words}
    record(
        tx,
        "verification.done",
        row.run_id,
        now,
        by=str(cost["by"]),
        target=row.id,
        detail=detail,
        told=told,
        key=row.id,
    )


def _say(tx: Transaction, run_id: str) -> None:
    """Put what was found into the run's sentence at once: the next step may be long in coming, or none comes."""
    run = runs.get(tx, run_id)
    if run is None or not run.verdict:
        return
    cuts = runs.cuts(runs.attempts_of(tx, run_id))
    found = with_held_out(run.verdict, verifications.outcomes(tx, run_id, cuts).newest_worse)
    if found != run.verdict:
        changes.add_all(tx, run_id, [("run", {})], {"verdict": found})


def _attempt_of(tx: Transaction, row: Any) -> int:
    attempts = runs.attempts_of(tx, row.run_id)
    return next(int(one.key) for one in attempts if one.id == row.attempt_id)
