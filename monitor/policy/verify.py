"""Policy of verification: when a suspicion is to be verified, against which checkpoints, at which error. Pure.

A look scores the weights of now and a few earlier checkpoints on the same held-out problems
(`cusp.verification.sequential`). Scores of an earlier checkpoint are kept, so that a later look of the run costs the
weights of now alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Literal

from cusp.protocol.run import Policy
from cusp.verification.sequential import (
    MOST_LOOKS,
    STAGES,
    Comparison,
    Outcome,
    Scores,
    alpha_of_look,
)
from monitor.detector import Transition, Verdict
from monitor.policy import schedule
from monitor.policy.against import earlier
from monitor.policy.decide import Saved
from monitor.policy.known_scores import count_scored

ALPHA = 0.05  # of a false `worse` in a run, shared alike by its looks; two of them act, or one and the signals
ONCE_MORE_ALPHA = 0.2  # of the second look after `worse`: the first has the error, this asks whether a dip has healed
AGAIN_STEPS = 20  # after an undecided look, times the looks in a row that were undecided
ONCE_MORE_STEPS = 10  # after `worse`: of the zoo's healthy runs stopped, half were in a dip
_SUSPECTED = frozenset(("turning", "past"))

LookState = Literal["pending", "worse", "not_worse", "undecided", "unavailable", "superseded"]


@dataclass(frozen=True)
class PastLook:
    """A look that was asked for at `step` with this evidence, and what became of it.

    `unavailable`: refused, expired or failed, of the attempt `attempt`. `superseded`: of weights that a resumed attempt
    has left behind. `measured`: the step of the weights scored, `known`: scores of the earlier checkpoints by step,
    `sure`: `worse` needs no second look, `number`: 0 for one that is not counted, `suspected`: it was asked for because
    of a transition, `by_person`: it has a budget of its own.
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
    number: int = 1
    suspected: bool = True
    by_person: bool = False


@dataclass(frozen=True)
class Look:
    """A verification to ask for: look `number` of the run, with the error and completions it may take.

    `number` is 0 for one that is not counted (a person's, or a second one after `worse`); `suspected`: there is a
    transition, which the outcome may refute.
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


def suspected_since(verdict: Verdict | None) -> int | None:
    """Return the last step that is surely from before the suspected transition, None without a suspicion."""
    if verdict is None or verdict.phase not in _SUSPECTED or verdict.transition is None:
        return None
    standing = verdict.transition.state in ("provisional", "confirmed")
    return verdict.transition.safe_step if standing else None


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
        reason = "once more after it was worse"
        again = _look(verdict, transition, looks, same, policy, at, STAGES, reason, counted=False)
        return again and replace(again, alpha=ONCE_MORE_ALPHA)
    if transition and verdict.phase in _SUSPECTED:
        if at <= transition.safe_step or not _wanted(verdict, looks):
            return None
        reason = (
            f"evidence {verdict.score:.0f} at step {verdict.step} (looked at from {verdict.watch:.0f} on) of a"
            f" transition at step {transition.step}"
        )
        return asked(verdict, transition, looks, saved, accuracy, policy, at, reason)
    return _scheduled(verdict, looks, saved, policy, at, max_steps)


def asked(
    verdict: Verdict | None,
    transition: Transition | None,
    looks: Sequence[PastLook],
    saved: Sequence[Saved],
    accuracy: Mapping[int, float],
    policy: Policy,
    now: int,
    reason: str,
    *,
    counted: bool = True,
) -> Look | None:
    """Return a look at the weights of step `now`; None without a checkpoint or budget.

    A person's look is not `counted`: it has an error of its own.
    """
    there = [one for one in saved if one.step < now]
    against = earlier(transition, there, accuracy, scored(looks))
    return _look(verdict, transition, looks, against, policy, now, STAGES, reason, counted=counted)


def _scheduled(
    verdict: Verdict,
    looks: Sequence[PastLook],
    saved: Sequence[Saved],
    policy: Policy,
    now: int,
    max_steps: int | None,
) -> Look | None:
    """Return the look that is due at half of the run, against the first checkpoint, if there was none since.

    The first: what signals do not show often falls early, and the zoo's peaks of training accuracy find 7 % fewer.
    """
    mark = schedule.mark(verdict.step, max_steps)
    if mark is None or any(one.step >= mark for one in looks if one.state != "superseded"):
        return None
    against = sorted((one for one in saved if one.step < now), key=lambda one: one.step)[:1]
    reason = f"scheduled at step {mark:.0f} of {max_steps}, without a suspicion"
    return _look(verdict, None, looks, against, policy, now, STAGES[:2], reason)


def _look(
    verdict: Verdict | None,
    transition: Transition | None,
    looks: Sequence[PastLook],
    against: Sequence[Saved],
    policy: Policy,
    now: int,
    stages: Sequence[int],
    reason: str,
    *,
    counted: bool = True,
) -> Look | None:
    """Return the look with the error and the stages that are left to it; None if nothing is."""
    known = scored(looks)
    left = policy.verify_budget - _spent(looks)
    new = [one for one in against if one.step not in known]
    while new and stages[0] * (1 + len(new)) > left:  # what was scored before costs nothing
        new.pop()
    against = [one for one in against if one.step in known or one in new]
    paid = tuple(stage for stage in stages if stage * (1 + len(new)) <= left)
    number = 1 + counted_looks(looks) if counted else 0
    if not against or not paid or number > MOST_LOOKS:
        return None
    step, evidence = (verdict.step, _evidence(verdict)) if verdict else (now, 0.0)
    alpha, suspected = alpha_of_look(max(number, 1), ALPHA), transition is not None
    return Look(number, step, evidence, tuple(against), paid, alpha, left, reason, suspected)


def answered(
    look: Look, outcome: Outcome, measured: int, known: Mapping[int, Scores], completions: int
) -> PastLook:
    """Return the look once it is answered: weights of step `measured` against `known` scores of earlier ones."""
    return PastLook(
        look.step,
        look.evidence,
        outcome,
        measured,
        completions,
        known,
        number=look.number,
        suspected=look.suspected,
    )


def scored(looks: Iterable[PastLook]) -> dict[int, Scores]:
    """Return the scores of each earlier checkpoint by step: of the most problems, of equally many the newest.

    Those of a `superseded` look count where no other has any: a resumed attempt may have saved the step anew.
    """
    found: dict[int, tuple[bool, int, Scores]] = {}
    for look in looks:
        for step, scores in look.known.items():
            new = (look.state != "superseded", count_scored(scores), scores)
            found[step] = max(new, found.get(step, new), key=lambda one: one[:2])
    return {step: scores for step, (_, _, scores) in found.items()}


def holds(
    verdict: Verdict,
    looks: Sequence[PastLook],
    saved: Sequence[Saved],
    policy: Policy,
    *,
    now: int | None = None,
) -> bool:
    """Return whether a confirmed transition is not acted on, as held-out scores decide.

    As long as they can be had, by a look at the weights of step `now` (the verdict's own) against the checkpoints
    `saved`, () where nobody scores any. One that cannot be verified (refused, expired, no checkpoint, budget or look
    left, `sure`: by the training's own evaluations, which come when they come) is decided by the signals alone, if no
    look has seen it; a collapse always is.
    """
    if policy.verify == "off" or verdict.phase == "collapsed" or not looks:
        return False
    last = looks[-1]
    if last.state in ("pending", "worse"):
        return True
    if last.state not in ("undecided", "not_worse"):
        return False
    if _refutes(last, verdict):
        return True
    at = verdict.step if now is None else now
    another = asked(verdict, verdict.transition, looks, saved, {}, policy, at, "another")
    return another is not None and not last.sure


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
    sure = verdict is not None and _confirmed(verdict)
    return answered if answered and answered[-1].state == "worse" and sure else ()


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
    in_vain = last is not None and last.state == "unavailable" and last.attempt == attempt
    return not in_vain and (last is None or last.state != "pending")


def _wanted(verdict: Verdict, looks: Sequence[PastLook]) -> bool:
    """Return whether what has been looked at so far leaves the suspicion open."""
    last = looks[-1] if looks else None
    if last and last.state == "undecided":
        since = verdict.step - _measured(last)
        confirmed = last.evidence < verdict.confirm <= _evidence(verdict)
        return since > 0 and (confirmed or since >= _next_look(looks))
    return last is None or last.state != "not_worse" or not _refutes(last, verdict)


def _measured(look: PastLook) -> int:
    return look.step if look.measured is None else look.measured


def _evidence(verdict: Verdict) -> float:
    """Return the evidence; of a confirmed transition, whose date is frozen, at least what confirms."""
    return max(verdict.score, verdict.confirm) if _confirmed(verdict) else verdict.score


def _confirmed(verdict: Verdict) -> bool:
    return verdict.transition is not None and verdict.transition.state == "confirmed"


def _refutes(look: PastLook, verdict: Verdict) -> bool:
    """Return whether the verdict's transition was seen by the step whose weights were not found worse.

    A look without a suspicion says nothing of one that came before its answer.
    """
    seen = verdict.transition.seen_at_step if verdict.transition else verdict.step
    return look.measured is not None and seen <= (look.measured if look.suspected else look.step)


def _undecided(looks: Sequence[PastLook]) -> int:
    return sum(1 for _ in takewhile(lambda look: look.state == "undecided", reversed(looks)))


def counted_looks(looks: Iterable[PastLook]) -> int:
    """Return how many looks have taken their share of the error."""
    return sum(look.number > 0 and look.state not in ("pending", "unavailable") for look in looks)


def _next_look(looks: Sequence[PastLook]) -> int:
    """Return after how many steps the next look is due, after undecided ones in a row."""
    return AGAIN_STEPS * _undecided(looks)


def _spent(looks: Iterable[PastLook]) -> int:
    """Return the completions that the policy's own looks have cost."""
    return sum(look.completions for look in looks if not look.by_person)
