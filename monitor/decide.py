"""Deciding is pure: what to keep, whether to stop, which checkpoints to evaluate.

Metrics of step t are measured before update t, so the checkpoint "before step t" is the last
complete one saved at a step <= t-1; the verdict's `safe_step` already says that step.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from cusp.wire import Policy
from monitor.detect import Transition, Verdict

MOST_CANDIDATES = 8


@dataclass(frozen=True)
class Saved:
    """A registered checkpoint that can still be used."""

    id: str
    step: int
    path: str
    sha256: str


@dataclass(frozen=True)
class Decision:
    """What to do about one finding: `keep` a checkpoint, `stop` the run, `propose` to stop it."""

    finding: str
    kind: str
    reason: str
    step: int
    checkpoint: Saved | None = None


@dataclass(frozen=True)
class Candidate:
    """A checkpoint to score and why; the base model has no checkpoint and step 0."""

    step: int
    roles: tuple[str, ...]
    checkpoint: Saved | None


def decide(
    verdict: Verdict, saved: Sequence[Saved], policy: Policy, attempt: str
) -> list[Decision]:
    """Return what follows from a verdict; nothing without a confirmed transition or a collapse.

    `attempt` is the one in whose steps the transition was seen. A resume from before it that sees it
    again, at the same step even, has found something new; one that goes on after it has not.

    >>> from monitor.detect import Transition
    >>> from types import SimpleNamespace
    >>> found = Transition(step=52, low=41, high=60, safe_step=51, seen_at_step=70, state="confirmed")
    >>> verdict = SimpleNamespace(step=70, phase="past", transition=found, words="Format fell.")
    >>> at_40 = Saved("01", 40, "checkpoint-40", "00"); at_60 = Saved("02", 60, "checkpoint-60", "00")
    >>> [(d.kind, d.checkpoint and d.checkpoint.step) for d in decide(verdict, [at_40, at_60], Policy(), "01J")]
    [('keep', 40), ('stop', 40)]
    """
    transition = verdict.transition
    if transition is None or transition.state != "confirmed":
        return []
    finding = f"transition seen at {transition.seen_at_step} by {attempt}"
    chosen = before(transition, saved)
    decisions = []
    if chosen is not None:
        reason = (
            f"step {chosen.step} is the last checkpoint held to be safe (to step"
            f" {transition.safe_step}) from the transition at step {transition.step}"
            f" (likely {transition.low}-{transition.high})."
        )
        decisions.append(Decision(finding, "keep", reason, verdict.step, chosen))
    if policy.action != "watch":
        kind = "stop" if policy.action == "stop" else "propose"
        decisions.append(Decision(finding, kind, verdict.words, verdict.step, chosen))
    return decisions


def repeated(
    decisions: Sequence[Decision],
    known: Collection[tuple[str, str]],
    lapsed: Collection[str],
    attempt: str,
) -> list[Decision]:
    """Return the decisions, those anew for this attempt whose command lapsed with an earlier one.

    A trainer that crashes before it has stopped leaves a verdict that still holds, and the attempt that
    goes on from there is past the transition as well. Once an attempt: who does not heed it does not
    heed it every hour.
    """
    return [
        replace(
            one,
            finding=f"{one.kind} that lapsed, again for {attempt}",
            reason=f"Asked again, as the trainer was gone before it was done. {one.reason}",
        )
        if (one.finding, one.kind) in known and one.kind in lapsed
        else one
        for one in decisions
    ]


def instead(
    decisions: Sequence[Decision], known: Collection[tuple[str, str]], refused: Collection[int]
) -> list[Decision]:
    """Return the decisions, a known one to keep a checkpoint anew if that one turned out to be gone.

    `refused` are the steps that the trainer could not keep. Each leads to one more try at most.
    """
    return [
        replace(
            one,
            finding=f"{one.finding}, {len(refused)} gone",
            reason=f"The checkpoint of step {max(refused)} could not be kept. {one.reason}",
        )
        if one.kind == "keep"
        and (one.finding, one.kind) in known
        and one.checkpoint
        and refused
        and one.checkpoint.step not in refused
        else one
        for one in decisions
    ]


def before(transition: Transition, saved: Sequence[Saved]) -> Saved | None:
    """Return the last checkpoint considered safe, or None when all came later."""
    safe = [one for one in saved if one.step <= transition.safe_step]
    return max(safe, key=lambda one: one.step) if safe else None


def candidates(
    transition: Transition | None,
    saved: Sequence[Saved],
    accuracy: Mapping[int, float],
    evaluate: str = "candidates",
) -> list[Candidate]:
    """Return the checkpoints to score, fixed before any score is known, by step; the base comes first.

    With a transition: the one before it, its neighbours, the accuracy peak, the last. Without: the
    last and the accuracy peak. A ladder fills the widest gaps between them until there are eight,
    the base among them; it stands closer early, where the policy changes fastest. `all`: every one.
    """
    newest = {one.step: one for one in saved}  # a resumed attempt's checkpoint replaces the older
    steps = sorted(newest)
    roles: dict[int, list[str]] = {0: ["base"]}

    def add(step: int | None, role: str) -> None:
        if step is not None:
            roles.setdefault(step, []).append(role)

    chosen = before(transition, saved) if transition else None
    anchor = steps.index(chosen.step) if chosen else len(steps)
    if chosen:
        add(chosen.step, "pre-transition")
        add(steps[anchor - 1] if anchor else None, "before")
        add(steps[anchor + 1] if anchor + 1 < len(steps) else None, "after")
    add(_peak(steps, accuracy), "accuracy peak")
    add(steps[-1] if steps else None, "last")
    for step in _ladder(steps, set(roles), MOST_CANDIDATES - len(roles)):
        add(step, "ladder")
    if evaluate == "all":
        for step in steps:
            roles.setdefault(step, ["checkpoint"])
    return [Candidate(step, tuple(roles[step]), newest.get(step)) for step in sorted(roles)]


def reference_step(found: Sequence[Candidate]) -> int:
    """Return the step the others are compared with: pre-transition, else the last."""
    for role in ("pre-transition", "last", "base"):
        for candidate in found:
            if role in candidate.roles:
                return candidate.step
    return 0


def _ladder(steps: Sequence[int], taken: set[int], count: int) -> list[int]:
    """Return up to `count` steps, each in the middle of the widest gap left, on a square-root scale.

    >>> _ladder(range(10, 210, 10), {0, 200}, 3)
    [50, 110, 10]
    """
    rungs: list[int] = []
    left = [step for step in steps if step not in taken]
    while left and len(rungs) < count:
        placed = [math.sqrt(step) for step in (*taken, *rungs)]
        gap = {step: min(abs(math.sqrt(step) - root) for root in placed) for step in left}
        rungs.append(max(left, key=lambda step: (gap[step], -step)))
        left.remove(rungs[-1])
    return rungs


def _peak(steps: Sequence[int], accuracy: Mapping[int, float], window: int = 8) -> int | None:
    """Return the checkpoint at the highest training accuracy, averaged over `window` steps after it.

    A checkpoint of step s is the policy that the steps right after s are sampled from.
    """
    means = {}
    for step in steps:
        values = [accuracy[s] for s in range(step + 1, step + 1 + window) if s in accuracy]
        if len(values) >= window // 2:
            means[step] = sum(values) / len(values)
    return max(means, key=lambda step: (means[step], -step)) if means else None
