"""Policy of verification: when a suspicion is to be verified, against which checkpoints, at which error. Pure.

A look scores the weights of now and a few earlier checkpoints on the same held-out problems
(`cusp.verification.sequential`). Scores of an earlier checkpoint are kept, so that a later look of the run costs the
weights of now alone.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Literal

from cusp.protocol.run import Policy
from cusp.verification.sequential import STAGES, Comparison, Outcome, Scores, alpha_of_look
from monitor.detector import Transition, Verdict
from monitor.policy.candidates import accuracy_peak
from monitor.policy.decide import Saved, before

ALPHA = 0.02  # of a false `worse` in a whole run: the most healthy runs that issue 12 allows to be stopped
EARLIER = 3  # checkpoints that the weights of now are compared with
AGAIN_STEPS = 20  # after an undecided look, times the looks in a row that were undecided
AGAIN_GROWTH = 1.5  # of the evidence since an undecided look, after which weights of a few steps later are looked at
MOST_UNDECIDED = 3  # looks in a row; then a confirmed transition is acted on by the signals alone
_SUSPECTED = frozenset(("turning", "past"))

LookState = Literal["pending", "worse", "not_worse", "undecided", "unavailable", "superseded"]


@dataclass(frozen=True)
class PastLook:
    """A look that was asked for at `step` with this evidence, and what became of it.

    `unavailable`: refused, expired or failed, of the attempt `attempt`. `superseded`: answered, of weights that a
    resumed attempt has left behind. `measured` is the step of the weights scored, `known` the scores of the earlier
    checkpoints by step, `completions` those that were generated for it.
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


@dataclass(frozen=True)
class Look:
    """A verification to ask for: look `number` of the run, with the error and completions it may take."""

    number: int
    step: int
    evidence: float
    candidates: tuple[Saved, ...]
    stages: tuple[int, ...]
    alpha: float
    budget: int
    reason: str


def due(
    verdict: Verdict,
    looks: Sequence[PastLook],
    saved: Sequence[Saved],
    accuracy: Mapping[int, float],
    policy: Policy,
    *,
    now: int | None = None,
    attempt: str = "",
) -> Look | None:
    """Return the look that the verdict calls for, None if none does.

    `looks` are the run's so far, oldest first; `saved` its usable checkpoints, `accuracy` its training accuracy by
    step. `now` is the step of the weights to score (the verdict's own: the training's; else the newest checkpoint's),
    `attempt` the one that trains. A collapse needs no look.
    """
    transition, at = verdict.transition, verdict.step if now is None else now
    if policy.verify == "off" or transition is None or verdict.phase not in _SUSPECTED:
        return None
    if at <= transition.safe_step or not _wanted(verdict, looks, attempt):
        return None
    reason = (
        f"evidence {verdict.score:.0f} at step {verdict.step} (looked at from {verdict.watch:.0f} on) of a"
        f" transition at step {transition.step}"
    )
    return asked(verdict, transition, looks, saved, accuracy, policy, at, reason)


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
    known = scored(looks)
    against = earlier(transition, [one for one in saved if one.step < now], accuracy, known)
    left = policy.verify_budget - sum(look.completions for look in looks)
    sets = 1 + sum(1 for one in against if one.step not in known)
    stages = tuple(stage for stage in STAGES if stage * sets <= left)
    if not against or not stages:
        return None
    number = 1 + sum(look.state not in ("pending", "unavailable") for look in looks)
    step, evidence = (verdict.step, _evidence(verdict)) if verdict else (now, 0.0)
    alpha = alpha_of_look(number, ALPHA)
    return Look(number, step, evidence, tuple(against), stages, alpha, left, reason)


def answered(
    look: Look, outcome: Outcome, measured: int, known: Mapping[int, Scores], completions: int
) -> PastLook:
    """Return the look once it is answered: weights of step `measured` against `known` scores of earlier ones."""
    return PastLook(look.step, look.evidence, outcome, measured, completions, known)


def earlier(
    transition: Transition | None,
    saved: Sequence[Saved],
    accuracy: Mapping[int, float],
    known: Mapping[int, Scores] | None = None,
    most: int = EARLIER,
) -> list[Saved]:
    """Return the checkpoints that now is compared with, by step, at most `most`.

    The last one that is held to be safe (without a transition: the last one), the peak of the training accuracy, the
    one with the best known score, and further back from the safe one at half of its step, and half of that again:
    held-out scores may sink long before the signals turn.
    """
    newest = {one.step: one for one in saved}  # a resumed attempt's checkpoint replaces the older
    steps = sorted(newest)
    if not steps:
        return []
    safe = before(transition, saved) if transition else None
    anchor = safe.step if safe else (steps[0] if transition else steps[-1])
    means = {step: mean(scores) for step, scores in (known or {}).items() if step in newest}
    best = max(means, key=lambda step: (means[step], step)) if means else None
    wanted = [anchor, accuracy_peak(steps, accuracy), best]
    wanted += [*_halves(steps, anchor), *reversed(steps)]
    chosen = list(dict.fromkeys(step for step in wanted if step is not None))[:most]
    return [newest[step] for step in sorted(chosen)]


def scored(looks: Iterable[PastLook]) -> dict[int, Scores]:
    """Return the newest scores of each earlier checkpoint by step."""
    return {step: scores for look in looks for step, scores in look.known.items()}


def holds(verdict: Verdict, looks: Sequence[PastLook], policy: Policy) -> bool:
    """Return whether a confirmed transition is not acted on, as a verification is under way or spoke against it.

    One that cannot be verified (refused, expired, no budget left, undecided again and again) is decided by the
    signals alone. A collapse always is.
    """
    if policy.verify == "off" or verdict.phase == "collapsed" or not looks:
        return False
    last = looks[-1]
    if last.state == "pending":
        return True
    if last.state == "undecided":
        again = _undecided(looks) < MOST_UNDECIDED or last.evidence < verdict.confirm
        return again and _affordable(looks, policy)
    return last.state == "not_worse" and _refutes(last, verdict)


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


def _wanted(verdict: Verdict, looks: Sequence[PastLook], attempt: str) -> bool:
    """Return whether what has been looked at so far leaves the suspicion open."""
    if not looks:
        return True
    last = looks[-1]
    if last.state == "unavailable":
        return last.attempt != attempt
    if last.state == "undecided":
        since = verdict.step - (last.step if last.measured is None else last.measured)
        grown = verdict.score >= AGAIN_GROWTH * last.evidence
        confirmed = last.evidence < verdict.confirm <= _evidence(verdict)
        return since > 0 and (grown or confirmed or since >= AGAIN_STEPS * _undecided(looks))
    if last.state == "not_worse":
        return not _refutes(last, verdict)
    return last.state == "superseded"


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


def _halves(steps: Sequence[int], step: int) -> Iterator[int]:
    """Yield the checkpoint nearest to half of the step, to half of that, and so on; the earlier of two.

    >>> list(_halves([10, 20, 30, 40], 40))
    [20, 10]
    """
    while step > steps[0]:
        half = step / 2
        step = min(steps, key=lambda one: (abs(one - half), one))
        yield step


def mean(scores: Scores) -> float:
    """Return the mean score of the problems that were decided, 0 without one."""
    found = [score for score in scores if score is not None]
    return fmean(found) if found else 0.0
