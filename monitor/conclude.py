"""Carries decisions out inside the transaction that found them: rows for commands, aliases, jobs."""

from collections.abc import Sequence
from typing import Any

from cusp.wire import Policy
from monitor import decide
from monitor.decide import Candidate, Decision, Saved
from monitor.detect import ChangePoint, Evidence, Transition, Verdict
from monitor.store import audit, checkpoints, commands, feed, findings, jobs, points, runs
from monitor.store.database import Transaction

POLICY = "policy"
ENDED_WELL = ("stopped", "finished")


def record(
    tx: Transaction, run_id: str, found: Sequence[Verdict], folds: int, *, show_from: int
) -> None:
    """Store the verdicts of the newly folded steps and the latest one as the run's."""
    findings.add_verdicts(tx, [_verdict_row(run_id, verdict) for verdict in found])
    runs.change(tx, run_id, verdict=as_json(found[-1]), folds=folds)
    feed.add(tx, run_id, "verdicts", {"from": show_from, "to": found[-1].step})


def changes(tx: Transaction, run_id: str, verdict: Verdict) -> bool:
    """Make the stored change points those of the verdict; return whether any differed."""
    return findings.set_change_points(
        tx, run_id, [_change_point_row(one) for one in verdict.change_points]
    )


def after_batch(tx: Transaction, run_id: str, now: float, *, ended: bool) -> None:
    """Decide on the run's latest verdict and, once it has ended, on what to evaluate."""
    run = runs.get(tx, run_id)
    if run is None:
        return
    verdict = from_json(run.verdict) if run.verdict else None
    transition = confirmed(verdict.transition) if verdict else None
    if transition is None and not ended:
        return
    policy = Policy.model_validate(run.policy)
    saved = usable(tx, run_id)
    if verdict:
        decisions = decide.decide(verdict, saved, policy)
        _carry_out(tx, run_id, now, decisions, running=run.status == "running")
    if ended and run.status in ENDED_WELL and policy.evaluate != "none" and saved:
        _evaluate(tx, run_id, now, transition, saved, policy)


def evaluate(
    tx: Transaction, run_id: str, now: float, author: str, only: Sequence[str] | None = None
) -> Any:
    """Queue the evaluation of the run's candidates, or of the checkpoints named, and return the job."""
    run = runs.get(tx, run_id)
    assert run is not None
    saved = usable(tx, run_id)
    verdict = run.verdict and from_json(run.verdict)
    transition = confirmed(verdict.transition) if verdict else None
    found = _candidates(tx, run_id, transition, saved, "all" if only else "candidates")
    if only:
        found = [c for c in found if c.checkpoint is None or c.checkpoint.id in set(only)]
    return _queue(tx, run_id, now, found, author)


def usable(tx: Transaction, run_id: str) -> list[Saved]:
    """Return the run's checkpoints that are there and whole; of a superseded branch none."""
    cuts = runs.cuts(runs.attempts_of(tx, run_id))
    return [
        Saved(row.id, row.step, row.path, row.sha256)
        for row in checkpoints.of_run(tx, run_id)
        if row.state in ("present", "pinned") and row.step < cuts.get(row.attempt_key, 0)
    ]


def confirmed(transition: Transition | None) -> Transition | None:
    """Return the transition if it is confirmed."""
    return transition if transition and transition.state == "confirmed" else None


def finish_evaluation(
    tx: Transaction, run_id: str, now: float, comparison: dict[str, Any] | None
) -> None:
    """Point `best` at what the comparison found best; the base model is no checkpoint."""
    best = (comparison or {}).get("best")
    step = best.get("step") if isinstance(best, dict) else None
    for one in usable(tx, run_id):
        if one.step == step:
            reason = str((comparison or {}).get("reason", "best on the selection set"))
            _point(tx, run_id, now, "best", one, reason)


def as_json(verdict: Verdict) -> dict[str, Any]:
    """Return the verdict as a JSON object, without its change points (they have a table)."""
    return {
        "step": verdict.step,
        "phase": verdict.phase,
        "score": verdict.score,
        "watch": verdict.watch,
        "confirm": verdict.confirm,
        "words": verdict.words,
        "evidence": [vars(one) for one in verdict.evidence],
        "transition": vars(verdict.transition) if verdict.transition else None,
    }


def from_json(stored: dict[str, Any]) -> Verdict:
    """Return the verdict that `as_json` stored."""
    transition = stored["transition"]
    return Verdict(
        **{key: stored[key] for key in ("step", "phase", "score", "watch", "confirm", "words")},
        evidence=tuple(Evidence(**one) for one in stored["evidence"]),
        change_points=(),
        transition=Transition(**transition) if transition else None,
    )


def _carry_out(
    tx: Transaction, run_id: str, now: float, decisions: Sequence[Decision], *, running: bool
) -> None:
    """Store each decision once and act on it; a run that has ended is not told anything."""
    for decision in decisions:
        kept = decision.checkpoint.step if decision.checkpoint else None
        new = findings.add_decision(
            tx,
            run_id,
            now,
            finding=decision.finding,
            kind=decision.kind,
            reason=decision.reason,
            author=POLICY,
            step=decision.step,
            checkpoint_step=kept,
        )
        if not new:
            continue
        if decision.kind == "keep" and decision.checkpoint:
            _point(tx, run_id, now, "pre-transition", decision.checkpoint, decision.reason)
        if decision.kind == "propose":
            feed.section_changed(tx, run_id, "decisions")
            continue
        if running and not (decision.kind == "stop" and commands.pending(tx, run_id, "stop")):
            commands.add(
                tx,
                run_id,
                now,
                kind=decision.kind,
                reason=decision.reason,
                author=POLICY,
                steps=[kept] if kept is not None else [],
            )
        detail = {"reason": decision.reason, "step": decision.step, "checkpoint_step": kept}
        audit.add(tx, run_id, now, actor=POLICY, action=decision.kind, target=run_id, detail=detail)
        feed.section_changed(tx, run_id, "decisions")
        feed.section_changed(tx, run_id, "commands")


def _point(
    tx: Transaction, run_id: str, now: float, alias: str, checkpoint: Saved, reason: str
) -> None:
    previous = checkpoints.move_alias(
        tx, run_id, alias, checkpoint.id, now, author=POLICY, expected=True
    )
    if previous == checkpoint.id:
        return
    detail = {"alias": alias, "step": checkpoint.step, "previous": previous, "reason": reason}
    audit.add(tx, run_id, now, actor=POLICY, action="promote", target=checkpoint.id, detail=detail)
    feed.section_changed(tx, run_id, "checkpoints")


def _evaluate(
    tx: Transaction,
    run_id: str,
    now: float,
    transition: Transition | None,
    saved: Sequence[Saved],
    policy: Policy,
) -> None:
    """Queue the evaluation once for each end of the run."""
    found = _candidates(tx, run_id, transition, saved, policy.evaluate)
    steps = ", ".join(str(candidate.step) for candidate in found)
    new = findings.add_decision(
        tx,
        run_id,
        now,
        finding=f"ended after attempt {runs.newest_attempt(tx, run_id)}",
        kind="evaluate",
        reason=f"candidates fixed before scoring: steps {steps}",
        author=POLICY,
        checkpoint_step=decide.reference_step(found),
    )
    if new:
        _queue(tx, run_id, now, found, POLICY)
        feed.section_changed(tx, run_id, "decisions")


def _candidates(
    tx: Transaction,
    run_id: str,
    transition: Transition | None,
    saved: Sequence[Saved],
    which: str,
) -> list[Candidate]:
    cuts = runs.cuts(runs.attempts_of(tx, run_id))
    series = points.by_step(tx, run_id, cuts, ["accuracy_reward"])
    accuracy = {step: metrics["accuracy_reward"] for step, metrics in series.items()}
    return decide.candidates(transition, saved, accuracy, which)


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
        "reference_step": decide.reference_step(found),
        "samples_per_problem": None,  # what the run's recipe says
        "seed": 0,
    }
    job = jobs.add(tx, run_id, "evaluate", payload, now)
    audit.add(tx, run_id, now, actor=author, action="evaluate", target=job.id)
    feed.section_changed(tx, run_id, "jobs")
    return job


def _verdict_row(run_id: str, verdict: Verdict) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "step": verdict.step,
        "phase": verdict.phase,
        "score": verdict.score,
        "evidence": {one.metric: round(one.score, 3) for one in verdict.evidence if one.score},
    }


def _change_point_row(one: ChangePoint) -> dict[str, Any]:
    return {**vars(one), "evidence": dict(one.evidence)}
