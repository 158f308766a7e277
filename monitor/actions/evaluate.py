"""Queueing evaluations: which candidates, fixed before any is scored, and what follows from the scores."""

from collections.abc import Sequence
from typing import Any

from cusp.protocol.run import Policy
from monitor.actions import quotas
from monitor.actions.promote import POLICY, move_alias, usable_checkpoints
from monitor.database.engine import Transaction
from monitor.detector import Transition
from monitor.policy import availability, candidates
from monitor.policy.candidates import Candidate
from monitor.policy.decide import Saved
from monitor.roles.stored_series import watched
from monitor.store import changes, jobs, runs, verdicts
from monitor.store.access import audit
from monitor.verdicts.encoding import confirmed, from_json
from monitor.webhooks.outbox import emit


def asked_for(
    tx: Transaction, run_id: str, now: float, author: str, only: Sequence[str] | None = None
) -> Any:
    """Queue the evaluation of the run's candidates, or of the checkpoints named, and return the job.

    Full is raised when too many jobs of the run wait already.
    """
    run = runs.get(tx, run_id)
    assert run is not None
    quotas.check_jobs(tx, run_id)
    saved = usable_checkpoints(tx, run_id)
    verdict = run.verdict and from_json(run.verdict)
    transition = confirmed(verdict.transition) if verdict else None
    found = _candidates(tx, run_id, transition, saved, "all" if only else "candidates")
    if only:
        found = [c for c in found if c.checkpoint is None or c.checkpoint.id in set(only)]
    return _queue(tx, run_id, now, found, author)


def at_the_end(
    tx: Transaction,
    run_id: str,
    now: float,
    transition: Transition | None,
    saved: Sequence[Saved],
    policy: Policy,
) -> None:
    """Queue the evaluation once for each end of the run."""
    run = runs.get(tx, run_id)
    if run is None or availability.evaluation_blocked(run_id, run.metadata):
        return
    found = _candidates(tx, run_id, transition, saved, policy.evaluate)
    steps = ", ".join(str(candidate.step) for candidate in found)
    new = verdicts.add_decision(
        tx,
        run_id,
        now,
        finding=f"ended after attempt {runs.newest_attempt(tx, run_id)}",
        kind="evaluate",
        reason=f"candidates fixed before scoring: steps {steps}",
        author=POLICY,
        checkpoint_step=candidates.reference_step(found),
    )
    if new:
        _queue(tx, run_id, now, found, POLICY)
        changes.section_changed(tx, run_id, "decisions")


def finished(tx: Transaction, run_id: str, now: float, comparison: dict[str, Any] | None) -> None:
    """Point `best` at what the comparison found best; the base model is no checkpoint."""
    best = (comparison or {}).get("best")
    step = best.get("step") if isinstance(best, dict) else None
    for one in usable_checkpoints(tx, run_id):
        if one.step == step:
            reason = str((comparison or {}).get("reason", "best on the selection set"))
            move_alias(tx, run_id, now, "best", one, reason)


def tell_ended(
    tx: Transaction,
    job: Any,
    now: float,
    error: str | None,
    comparison: dict[str, Any] | None = None,
) -> None:
    """Tell the webhooks that an evaluation is over: done without an error, else failed."""
    if job.kind != "evaluate":
        return
    found = {"best": comparison["best"], "reason": comparison["reason"]} if comparison else {}
    if error is None:
        emit(tx, "evaluation.done", job.run_id, now, key=job.id, job_id=job.id, **found)
    else:
        emit(tx, "evaluation.failed", job.run_id, now, key=job.id, job_id=job.id, error=error[:500])


def _candidates(
    tx: Transaction,
    run_id: str,
    transition: Transition | None,
    saved: Sequence[Saved],
    which: str,
) -> list[Candidate]:
    cuts = runs.cuts(runs.attempts_of(tx, run_id))
    series = watched(tx, runs.get(tx, run_id), cuts)
    name = "accuracy_reward"
    accuracy = {step: metrics[name] for step, metrics in series.items() if name in metrics}
    return candidates.candidates(transition, saved, accuracy, which)


def _queue(
    tx: Transaction, run_id: str, now: float, found: Sequence[Candidate], author: str
) -> Any:
    payload = {
        "candidates": [
            {
                "checkpoint_id": one.checkpoint.id if one.checkpoint else None,
                "path": one.checkpoint.path if one.checkpoint else None,
                "sha256": one.checkpoint.sha256 if one.checkpoint else None,
                "step": one.step,
                "roles": list(one.roles),
            }
            for one in found
        ],
        "reference_step": candidates.reference_step(found),
        "samples_per_problem": None,  # what the run's recipe says
        "seed": 0,
    }
    job = jobs.add(tx, run_id, "evaluate", payload, now)
    audit.add(tx, run_id, now, actor=author, action="evaluate", target=job.id)
    changes.section_changed(tx, run_id, "jobs")
    return job
