"""A verification that nobody has to be asked for: the training's own evaluation, while a suspicion stands."""

from typing import Any

from cusp.protocol.run import Policy
from cusp.verification.sequential import alpha_of_look
from monitor.actions.verify.answer import store
from monitor.database.engine import Transaction
from monitor.policy import availability, by_eval
from monitor.policy.by_eval import EvalMean
from monitor.policy.verify import ALPHA
from monitor.roles.role_series import role_series
from monitor.store import points, runs
from monitor.store.scores import verifications
from monitor.verdicts.encoding import from_json


def take(tx: Transaction, run: Any, attempt: Any, step: int, now: float) -> int | None:
    """Compare the evaluation logged at `step` with those before the suspicion; store an outcome.

    Returns the step from which the verdicts change, None: nowhere. Only where nothing else verifies the run.
    """
    verdict = from_json(run.verdict) if run.verdict else None
    policy = Policy.model_validate(run.policy)
    if verdict is None or verdict.transition is None or verdict.phase == "collapsed":
        return None
    if policy.verify == "off" or availability.verifier(run.metadata) is not None:
        return None
    found = _evaluations(tx, run, upto=step)
    earlier = [one for one in found if one.step <= verdict.transition.step]
    if not earlier or found[-1].step != step or step <= verdict.transition.step:
        return None
    rows = verifications.of_run(tx, run.id)
    number = 1 + sum(row.outcome is not None and row.number > 0 for row in rows)
    alpha = alpha_of_look(number, ALPHA)
    if not alpha:
        return None
    result = by_eval.compared(found[-1], earlier, alpha)
    if result.outcome == "undecided":
        return None  # the next evaluation comes by itself, and nothing is held up for it
    row = verifications.add_answered(
        tx,
        run.id,
        now,
        attempt_id=attempt.id,
        number=number,
        author="policy",
        reason=f"the training's own evaluation at step {step}, while a transition at step"
        f" {verdict.transition.step} was suspected",
        step=verdict.step,
        evidence=verdict.score,
        suspected=True,
        candidates=[one.step for one in earlier],
        kept_before=[one.step for one in earlier],  # nothing was pinned for it
        stages=[],
        alpha=alpha,
        budget=0,
    )
    scores = {one.step: [one.mean] for one in (*earlier, found[-1])}
    return store(tx, row, result, scores, step, attempt.key, now, {"by": "eval"})


def _evaluations(tx: Transaction, run: Any, upto: int) -> list[EvalMean]:
    numbers = points.names(tx, run.id)
    accuracy = role_series(numbers, run.metadata).assignment.members.get("accuracy", ())
    keys = by_eval.keys(accuracy, numbers)
    if not keys:
        return []
    cuts = runs.cuts(runs.attempts_of(tx, run.id))
    series = points.effective(tx, {numbers[key]: key for key in keys}, cuts)
    return [one for one in by_eval.evaluations(series, keys[0]) if one.step <= upto]
