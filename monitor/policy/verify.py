"""Policy of verification: when a suspicion is to be verified, against which checkpoints, at which error. Pure.

A look scores the weights of now and a few earlier checkpoints on the same held-out problems
(`cusp.verification.sequential`). Scores of an earlier checkpoint are kept, so that a later look of the run costs the
weights of now alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from cusp.protocol.run import Policy
from cusp.verification.sequential import STAGES, Comparison, Outcome, Scores, alpha_of_look
from monitor.detector import Transition, Verdict
from monitor.policy.against import earlier, for_schedule, mean
from monitor.policy.decide import Saved

# Of a false `worse` in a whole run. What acts is two of them, unless the signals have confirmed: at most half of it.
ALPHA = 0.12
EARLIER = (
    3  # checkpoints that the weights of now are compared with; a fourth gained nothing on the zoo
)
AGAIN_STEPS = 20  # after an undecided look, times the looks in a row that were undecided
AGAIN_GROWTH = 1.5  # of the evidence since an undecided look, after which weights of a few steps later are looked at
ONCE_MORE_STEPS = (
    10  # after `worse`: a dip heals, and on the zoo half of the healthy runs stopped were in one
)
SCHEDULE = (
    0.5,
    0.75,
)  # of max_steps: what is never suspected is looked at, too (6 of 70 losing runs of the zoo)
SCHEDULED_STAGES = STAGES[:2]
_SUSPECTED = frozenset(("turning", "past"))

LookState = Literal["pending", "worse", "not_worse", "undecided", "unavailable", "superseded"]


@dataclass(frozen=True)
class PastLook:
    """A look that was asked for at `step` with this evidence, and what became of it.

    `unavailable`: refused, expired or failed, of the attempt `attempt`. `superseded`: answered, of weights that a
    resumed attempt has left behind. `measured` is the step of the weights scored, `known` the scores of the earlier
    checkpoints by step, `completions` those that were generated for it. `sure`: `worse` needs no second look.
    """

    step: int
    evidence: float
    state: LookState
    measured: int | None = None
    completions: int = 0
    known: Mapping[int, Scores] = field(default_factory=dict)
    attempt: str = ""
    id: str = ""
    comparisons: tuple[Comparison, ...] = ()
    sure: bool = False


@dataclass(frozen=True)
class Look:
    """A verification to ask for: look `number` of the run, with the error and completions it may take.

    `suspected`: a transition is, which the outcome may refute.
    """

    number: int
    step: int
    evidence: float
    candidates: tuple[Saved, ...]
    stages: tuple[int, ...]
    alpha: float
    budget: int
    reason: str
    suspected: bool = True


def due(
    verdict: Verdict,
    looks: Sequence[PastLook],
    saved: Sequence[Saved],
    accuracy: Mapping[int, float],
    policy: Policy,
    *,
    now: int | None = None,
    attempt: str = "",
    max_steps: int | None = None,
) -> Look | None:
    """Return the look that is due after the verdict, None if none is.

    `looks` are the run's so far, oldest first; `saved` its usable checkpoints, `accuracy` its training accuracy by
    step. `now` is the step of the weights to score (the verdict's own: the training's; else the newest checkpoint's),
    `attempt` the one that trains. A collapse needs no look.
    """
    last, transition = looks[-1] if looks else None, verdict.transition
    at = verdict.step if now is None else now
    if policy.verify == "off" or verdict.phase == "collapsed" or not _free(last, attempt):
        return None
    if last and last.state == "worse":
        if decisive(looks, verdict) or at < _measured(last) + ONCE_MORE_STEPS:
            return None
        same = [one for one in saved if one.step in last.known]
        return _look(
            verdict, transition, looks, same, policy, at, STAGES, "once more after it was worse"
        )
    if transition and verdict.phase in _SUSPECTED:
        if at <= transition.safe_step or not _wanted(verdict, looks):
            return None
        reason = (
            f"evidence {verdict.score:.0f} at step {verdict.step} (looked at from {verdict.watch:.0f} on) of a"
            f" transition at step {transition.step}"
        )
        return asked(verdict, transition, looks, saved, accuracy, policy, at, reason)
    return _scheduled(verdict, looks, saved, accuracy, policy, at, max_steps)


def crosses(before: int, after: int, max_steps: int | None) -> bool:
    """Return whether the run passes a step at which a look is scheduled.

    >>> crosses(99, 100, 200), crosses(100, 101, 200), crosses(1, 400, None)
    (True, False, False)
    """
    return any(before < share * (max_steps or 0) <= after for share in SCHEDULE)


def asked(
    verdict: Verdict | None,
    transition: Transition | None,
    looks: Sequence[PastLook],
    saved: Sequence[Saved],
    accuracy: Mapping[int, float],
    policy: Policy,
    now: int,
    reason: str,
) -> Look | None:
    """Return a look at the weights of step `now`, as a person may ask for; None without a checkpoint or budget."""
    there = [one for one in saved if one.step < now]
    against = earlier(transition, there, accuracy, scored(looks))
    return _look(verdict, transition, looks, against, policy, now, STAGES, reason)


def _scheduled(
    verdict: Verdict,
    looks: Sequence[PastLook],
    saved: Sequence[Saved],
    accuracy: Mapping[int, float],
    policy: Policy,
    now: int,
    max_steps: int | None,
) -> Look | None:
    """Return the look that is due at half and at three quarters of the run, if there was none since."""
    marks = [share * (max_steps or 0) for share in SCHEDULE]
    mark = max((one for one in marks if 0 < one <= verdict.step), default=None)
    if mark is None or any(one.step >= mark for one in looks if one.state != "superseded"):
        return None
    against = for_schedule([one for one in saved if one.step < now], accuracy, scored(looks), now)
    reason = f"scheduled at step {mark:.0f} of {max_steps}, without a suspicion"
    return _look(verdict, None, looks, against, policy, now, SCHEDULED_STAGES, reason)


def _look(
    verdict: Verdict | None,
    transition: Transition | None,
    looks: Sequence[PastLook],
    against: Sequence[Saved],
    policy: Policy,
    now: int,
    stages: Sequence[int],
    reason: str,
) -> Look | None:
    """Return the look with the error and the stages that are left to it; None if nothing is."""
    known = scored(looks)
    left = policy.verify_budget - sum(look.completions for look in looks)
    sets = 1 + sum(1 for one in against if one.step not in known)
    paid = tuple(stage for stage in stages if stage * sets <= left)
    if not against or not paid:
        return None
    number = 1 + sum(look.state not in ("pending", "unavailable") for look in looks)
    step, evidence = (verdict.step, _evidence(verdict)) if verdict else (now, 0.0)
    alpha, suspected = alpha_of_look(number, ALPHA), transition is not None
    return Look(number, step, evidence, tuple(against), paid, alpha, left, reason, suspected)


def answered(
    look: Look, outcome: Outcome, measured: int, known: Mapping[int, Scores], completions: int
) -> PastLook:
    """Return the look once it is answered: weights of step `measured` against `known` scores of earlier ones."""
    return PastLook(look.step, look.evidence, outcome, measured, completions, known)


def scored(looks: Iterable[PastLook]) -> dict[int, Scores]:
    """Return the newest scores of each earlier checkpoint by step."""
    return {step: scores for look in looks for step, scores in look.known.items()}


def holds(verdict: Verdict, looks: Sequence[PastLook], policy: Policy) -> bool:
    """Return whether a confirmed transition is not acted on, as a verification is under way or spoke against it.

    One that cannot be verified (refused, expired, no budget left) is decided by the signals alone; a collapse always.
    """
    if policy.verify == "off" or verdict.phase == "collapsed" or not looks:
        return False
    last = looks[-1]
    if last.state in ("pending", "worse"):
        return True
    if last.state == "undecided":
        return _affordable(looks, policy)
    return last.state == "not_worse" and _refutes(last, verdict)


def decisive(looks: Sequence[PastLook], verdict: Verdict | None) -> Sequence[PastLook]:
    """Return the looks up to the one that found the weights worse for certain, () if none did.

    `worse` is acted on once the next look, some steps later, says it again, or the signals have confirmed: a dip
    heals, and two false ones in a run are at most half as likely as one (Markov's inequality).
    """
    answered = [look for look in looks if look.state in ("worse", "not_worse", "undecided")]
    for number, look in enumerate(answered):
        before = answered[number - 1] if number else None
        again = before and before.state == "worse" and _measured(before) < _measured(look)
        if look.state == "worse" and (look.sure or again):
            return answered[: number + 1]
    transition = verdict.transition if verdict else None
    confirmed = transition is not None and transition.state == "confirmed"
    return answered if answered and answered[-1].state == "worse" and confirmed else ()


def best(earlier: Mapping[int, Scores]) -> int:
    """Return the step of the checkpoint with the greatest mean score on the problems that all have; ties: the later.

    >>> best({10: [1, 0, None], 20: [0, 1, 1, 1]})
    20
    """
    means = {step: mean(scores) for step, scores in common(earlier).items()}
    return max(means, key=lambda step: (means[step], step))


def common(scores: Mapping[int, Scores]) -> dict[int, list[float]]:
    """Return the scores on the problems that all were scored on, in the same order."""
    rows = [row for row in zip(*scores.values(), strict=False) if None not in row]
    return {step: [row[at] or 0.0 for row in rows] for at, step in enumerate(scores)}


def said(compared: Comparison) -> str:
    """Return a comparison in words.

    >>> said(Comparison(60, -0.21, -0.33, -0.09, 64))
    '-0.21 (95 % interval -0.33 to -0.09) against step 60 on 64 problems'
    """
    return (
        f"{compared.difference:+.2f} (95 % interval {compared.low:+.2f} to {compared.high:+.2f})"
        f" against step {compared.step} on {compared.problems} problems"
    )


def _free(last: PastLook | None, attempt: str) -> bool:
    """Return whether the last look is no reason to ask for none: not pending, nor in vain of this attempt."""
    if last is None:
        return True
    return last.state != "pending" and (last.state != "unavailable" or last.attempt != attempt)


def _wanted(verdict: Verdict, looks: Sequence[PastLook]) -> bool:
    """Return whether what has been looked at so far leaves the suspicion open."""
    last = looks[-1] if looks else None
    if last and last.state == "undecided":
        since = verdict.step - _measured(last)
        grown = verdict.score >= AGAIN_GROWTH * last.evidence
        confirmed = last.evidence < verdict.confirm <= _evidence(verdict)
        return since > 0 and (grown or confirmed or since >= AGAIN_STEPS * _undecided(looks))
    return last is None or last.state != "not_worse" or not _refutes(last, verdict)


def _measured(look: PastLook) -> int:
    return look.step if look.measured is None else look.measured


def _evidence(verdict: Verdict) -> float:
    """Return the evidence; of a confirmed transition, whose date is frozen, at least what confirms."""
    confirmed = verdict.transition is not None and verdict.transition.state == "confirmed"
    return max(verdict.score, verdict.confirm) if confirmed else verdict.score


def _refutes(look: PastLook, verdict: Verdict) -> bool:
    """Return whether the verdict's transition was seen by the step whose weights were found not worse."""
    seen = verdict.transition.seen_at_step if verdict.transition else verdict.step
    return look.measured is not None and seen <= look.measured


def _undecided(looks: Sequence[PastLook]) -> int:
    count = 0
    for look in reversed(looks):
        if look.state != "undecided":
            break
        count += 1
    return count


def _affordable(looks: Sequence[PastLook], policy: Policy) -> bool:
    return policy.verify_budget - sum(look.completions for look in looks) >= STAGES[0]
