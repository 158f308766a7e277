"""Asking for a verification: of the training itself, else of a worker. Its candidates are pinned at once."""

from typing import Any

from cusp.ids import new_id
from cusp.protocol.run import Policy
from cusp.verification.sequential import STAGES
from monitor.actions import quotas
from monitor.actions.promote import usable_checkpoints
from monitor.actions.record import record
from monitor.actions.require import run_or_404
from monitor.actions.verify import release
from monitor.database.engine import Transaction
from monitor.errors import Conflict
from monitor.policy import availability, verify
from monitor.policy.decide import Saved
from monitor.policy.verify import Look
from monitor.roles.stored_series import watched
from monitor.runs.looks import PINS, looks
from monitor.schemas.run import status_of
from monitor.store import checkpoints, commands, jobs, runs
from monitor.store.scores import verifications
from monitor.verdicts.encoding import from_json


def asked_for(tx: Transaction, run_id: str, now: float, author: str, *, lost_after_s: float) -> Any:
    """Ask as a person and return the verification's row; one that is under way is returned as it is.

    It has the error of one look beside those of the policy, and may cost as much as its budget again.
    Conflict says why it cannot be, QuotaExceeded that too much waits already.
    """
    run = run_or_404(tx, run_id, locked=True)
    cuts = runs.cuts(runs.attempts_of(tx, run_id))
    rows = verifications.of_run(tx, run_id)
    past = looks(rows, cuts, now)
    if under_way := [row for row, one in zip(rows, past, strict=True) if one.state == "pending"]:
        return under_way[-1]
    status = status_of(tx, run, now, lost_after_s)
    if status != "running":
        raise Conflict(
            f"the run is {status}, so no weights of now are there to verify; `cusp evaluate {run_id}` scores its"
            " checkpoints"
        )
    if reason := availability.verification_blocked(run.metadata):
        raise Conflict(reason)
    saved = usable_checkpoints(tx, run_id)
    verdict = from_json(run.verdict) if run.verdict else None
    policy = Policy.model_validate(run.policy)
    spent = sum(one.completions for one in past)
    policy = policy.model_copy(update={"verify_budget": policy.verify_budget + spent})
    at = weights_of(run, saved)
    transition = verdict.transition if verdict else None
    reason = "asked by a person"
    found = verify.asked(
        verdict, transition, past, saved, accuracy_of(tx, run), policy, at, reason, counted=False
    )
    if found is None:
        raise Conflict(
            "there is no earlier checkpoint to compare the weights of now with; wait for the next save"
            if not [one for one in saved if one.step < at]
            else f"the budget of {policy.verify_budget} completions does not pay a look at"
            f" {STAGES[0]} problems; raise verify_budget in the run's policy"
        )
    quotas.check_commands(tx, run_id)
    quotas.check_jobs(tx, run_id)
    return ask(tx, run, found, now, author)


def weights_of(run: Any, saved: list[Saved]) -> int:
    """Return the step of the weights that a verification scores: the training's own, or a checkpoint's."""
    if availability.verifier(run.metadata) == "worker":
        return max((one.step for one in saved), default=0)
    return int(run.last_step or 0)


def accuracy_of(tx: Transaction, run: Any) -> dict[int, float]:
    """Return the run's training accuracy by step."""
    series = watched(tx, run, runs.cuts(runs.attempts_of(tx, run.id)))
    name = "accuracy_reward"
    return {step: metrics[name] for step, metrics in series.items() if name in metrics}


def ask(tx: Transaction, run: Any, look: Look, now: float, author: str) -> Any:
    """Store the verification with its command or job, and return it."""
    given, steps = new_id(), [one.step for one in look.candidates]
    verifications.add(
        tx,
        run.id,
        now,
        id=given,
        attempt_id=runs.newest_attempt(tx, run.id),
        number=look.number,
        author=author,
        reason=look.reason,
        step=look.step,
        evidence=look.evidence,
        suspected=look.suspected,
        candidates=steps,
        kept_before=_kept_before(tx, run.id),
        stages=list(look.stages),
        alpha=look.alpha,
        budget=look.budget,
        **_order(tx, run, given, look, now, author),
    )
    detail = {"step": look.step, "candidates": steps, "reason": look.reason}
    record(tx, "verification.asked", run.id, now, by=author, target=given, detail=detail)
    return verifications.get(tx, given)


def _order(
    tx: Transaction, run: Any, verification_id: str, look: Look, now: float, author: str
) -> dict[str, str]:
    """Tell whoever verifies; return the id of the command or of the job."""
    steps = [one.step for one in look.candidates]
    if availability.verifier(run.metadata) != "worker":
        given = commands.add(
            tx, run.id, now, kind="verify", reason=look.reason, author=author, steps=steps
        )
        return {"command_id": given.id}
    newest = max(usable_checkpoints(tx, run.id), key=lambda one: (one.step, one.id))
    reason = "checkpoints of a verification, held until it is done"
    held = [*steps, newest.step]
    commands.add(tx, run.id, now, kind="keep", reason=reason, author=PINS, steps=held)
    payload = {
        "verification_id": verification_id,
        "step": newest.step,
        "candidates": [_named(one) for one in (*look.candidates, newest)],
        "stages": list(look.stages),
        "alpha": look.alpha,
        "budget": look.budget,
    }
    return {"job_id": jobs.add(tx, run.id, "verify", payload, now).id}


def _named(saved: Saved) -> dict[str, Any]:
    """Return a checkpoint as a worker's payload names it."""
    return {
        "checkpoint_id": saved.id,
        "path": saved.path,
        "sha256": saved.sha256,
        "step": saved.step,
    }


def _kept_before(tx: Transaction, run_id: str) -> list[int]:
    """Return the steps that are pinned although no verification asked for it."""
    kept = {row.step for row in checkpoints.of_run(tx, run_id) if row.pinned}
    return sorted(kept - release.pinned(tx, run_id))
