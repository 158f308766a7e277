"""Queueing evaluations: which candidates, fixed before any is scored."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from cusp.protocol.run import Policy
from monitor.actions import quotas
from monitor.actions.promote import POLICY, usable_checkpoints
from monitor.actions.record import record
from monitor.actions.require import run_or_404
from monitor.database.engine import Transaction
from monitor.detector import Transition
from monitor.errors import Conflict
from monitor.policy import availability, candidates
from monitor.policy.candidates import Candidate
from monitor.policy.decide import Saved
from monitor.roles.stored_series import watched
from monitor.store import checkpoints, jobs, runs, verdicts
from monitor.verdicts.encoding import confirmed, from_json

ASKED = {"suite", "base", "max_new_tokens", "engine", "given_here"}
"""What a person may ask for in place of what the run's recipe says."""


def asked_for(
    tx: Transaction,
    run_id: str,
    now: float,
    author: str,
    *,
    only: Sequence[str] = (),
    recipe_given: bool = False,
    asked: Mapping[str, Any] | None = None,
) -> Any:
    """Queue the evaluation of the run's candidates, or of the checkpoints named, and return the job.

    Those named are compared with the base model and the run's reference. `recipe_given` says that the run's
    folder now has a recipe that can be evaluated; a suite that is `asked` for needs none, nor does what is
    `given_here`, in a file of that folder for this evaluation. Conflict says why it
    cannot be, QuotaExceeded that too many jobs of the run wait already.
    """
    run = run_or_404(tx, run_id, locked=True)
    if recipe_given:
        runs.change(tx, run_id, metadata={**run.metadata, "evaluable": True})
    else:
        reason = availability.evaluation_blocked(run_id, run.metadata)
        if reason and not any((asked or {}).get(name) for name in ("suite", "given_here")):
            raise Conflict(reason)
    saved = usable_checkpoints(tx, run_id)
    if not saved:
        raise Conflict("the run has no complete checkpoint yet; wait for the first save")
    quotas.check_jobs(tx, run_id)
    verdict = run.verdict and from_json(run.verdict)
    transition = confirmed(verdict.transition) if verdict else None
    found = _candidates(tx, run_id, transition, saved, "all" if only else "candidates")
    if only:
        beside = {0, candidates.reference_step(found)}
        found = [
            c
            for c in found
            if c.step in beside or (c.checkpoint is not None and c.checkpoint.id in set(only))
        ]
    screened = {"screen": not only, "named": bool(only)}
    return _queue(tx, run_id, now, found, author, **screened, asked=asked or {})


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
        _queue(tx, run_id, now, found, POLICY, screen=policy.evaluate != "all")
        record(tx, "decision.evaluate", run_id, now)


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
    return candidates.candidates(transition, saved, accuracy, which, _kept(tx, run_id, transition))


def _kept(tx: Transaction, run_id: str, transition: Transition | None) -> int | None:
    """Return the step of the checkpoint that the policy kept, which held-out scores may have chosen."""
    run = runs.get(tx, run_id)
    if transition is None and (run is None or run.status != "stopped"):
        return None  # kept before a resume that made the transition undone
    found = checkpoints.with_aliases(tx, run_id).aliases.get("pre-transition")
    return found.step if found else None


def _queue(
    tx: Transaction,
    run_id: str,
    now: float,
    found: Sequence[Candidate],
    author: str,
    *,
    screen: bool,
    named: bool = False,
    asked: Mapping[str, Any] = MappingProxyType({}),
) -> Any:
    """Queue the job; with `screen` a candidate clearly worse on the selection set is scored no further.

    The comparison of `named` checkpoints moves no alias: what is better than the reference may still be
    worse than what `best` points at, and what is not better would take `best` back to the reference.
    """
    payload: dict[str, Any] = {
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
        "samples_per_problem": asked.get("samples_per_problem"),  # None: what the run's recipe says
        "seed": 0,
        "screen": screen,
        "named": named,
    }
    if told := {name: asked[name] for name in sorted(ASKED) if asked.get(name) is not None}:
        payload["asked"] = told
    job = jobs.add(tx, run_id, "evaluate", payload, now)
    record(tx, "evaluation.asked", run_id, now, by=author, target=job.id)
    return job
