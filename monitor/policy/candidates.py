"""Selects the checkpoints that an evaluation compares. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from monitor.detector import Transition
from monitor.policy.decide import Saved, before

MOST_CANDIDATES = 8


@dataclass(frozen=True)
class Candidate:
    """A checkpoint to score, with its roles; the base model is step 0 without a checkpoint."""

    step: int
    roles: tuple[str, ...]
    checkpoint: Saved | None


def candidates(
    transition: Transition | None,
    saved: Sequence[Saved],
    accuracy: Mapping[int, float],
    evaluate: str = "candidates",
    kept: int | None = None,
) -> list[Candidate]:
    """Return the checkpoints to score by step, the base model first; chosen before any score is known.

    With a transition: the one before it (the one that was `kept`, if any), its neighbours, the accuracy peak, the
    last. Without: the last and the accuracy peak. A ladder fills the widest gaps between them until there are eight
    with the base model (decision 0006); it is denser early, where the policy changes fastest. `all`: every checkpoint.
    """
    newest = {one.step: one for one in saved}  # a resumed attempt's checkpoint replaces the older
    steps = sorted(newest)
    roles: dict[int, list[str]] = {0: ["base"]}

    def add(step: int | None, role: str) -> None:
        if step is not None:
            roles.setdefault(step, []).append(role)

    chosen = newest.get(kept) if kept is not None else None
    if chosen is None and transition:
        chosen = before(transition, saved)
    anchor = steps.index(chosen.step) if chosen else len(steps)
    if chosen:
        add(chosen.step, "pre-transition")
        add(steps[anchor - 1] if anchor else None, "before")
        add(steps[anchor + 1] if anchor + 1 < len(steps) else None, "after")
    add(accuracy_peak(steps, accuracy), "accuracy peak")
    add(steps[-1] if steps else None, "last")
    for step in _ladder(steps, set(roles), MOST_CANDIDATES - len(roles)):
        add(step, "ladder")
    if evaluate == "all":
        for step in steps:
            roles.setdefault(step, ["checkpoint"])
    return [Candidate(step, tuple(roles[step]), newest.get(step)) for step in sorted(roles)]


def reference_step(found: Sequence[Candidate]) -> int:
    """Return the step of the comparison's reference: pre-transition, else the last."""
    for role in ("pre-transition", "last", "base"):
        for candidate in found:
            if role in candidate.roles:
                return candidate.step
    return 0


def _ladder(steps: Sequence[int], taken: set[int], count: int) -> list[int]:
    """Return up to `count` steps, each in the middle of the widest remaining gap on a square-root scale.

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


def accuracy_peak(
    steps: Sequence[int], accuracy: Mapping[int, float], window: int = 8
) -> int | None:
    """Return the checkpoint at the highest training accuracy, averaged over `window` steps after it.

    The steps right after s are sampled from the checkpoint of step s.
    """
    means = {}
    for step in steps:
        values = [accuracy[s] for s in range(step + 1, step + 1 + window) if s in accuracy]
        if len(values) >= window // 2:
            means[step] = sum(values) / len(values)
    return max(means, key=lambda step: (means[step], -step)) if means else None
