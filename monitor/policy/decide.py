"""Decisions from a verdict: checkpoint to keep, stop or proposal. Pure.

Metrics of step t are measured before update t, so the checkpoint "before step t" is the last complete one
saved at a step <= t-1; the verdict's `safe_step` already is that step.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from cusp.protocol.run import Policy
from monitor.detector import Transition, Verdict


@dataclass(frozen=True)
class Saved:
    """A registered, usable checkpoint."""

    id: str
    step: int
    path: str
    sha256: str


@dataclass(frozen=True)
class Decision:
    """Decision on one finding: `keep` a checkpoint, `stop` the run, or `propose` to stop it."""

    finding: str
    kind: str
    reason: str
    step: int
    checkpoint: Saved | None = None


def decide(
    verdict: Verdict, saved: Sequence[Saved], policy: Policy, attempt: str
) -> list[Decision]:
    """Return the decisions for a verdict; none without a confirmed transition or a collapse.

    `attempt` is the one in whose steps the transition was seen. A resume from before the transition that
    sees it again, even at the same step, is a new finding; a resume from after it is not.

    >>> from monitor.detector import Transition
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


def reissued(
    decisions: Sequence[Decision],
    known: Collection[tuple[str, str]],
    lapsed: Collection[str],
    attempt: str,
) -> list[Decision]:
    """Return the decisions; those whose command expired with an earlier attempt are issued anew for this one.

    After a crash before the stop the verdict still holds, and the resumed attempt is past the transition as
    well. At most once an attempt: a trainer that ignores a command is not sent it every hour.
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


def keep_another(
    decisions: Sequence[Decision], known: Collection[tuple[str, str]], refused: Collection[int]
) -> list[Decision]:
    """Return the decisions; a known `keep` is issued anew for another checkpoint if the first is gone.

    `refused` are the steps that the trainer could not keep. Each leads to at most one more try.
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
    """Return the last checkpoint at or before the safe step, or None."""
    safe = [one for one in saved if one.step <= transition.safe_step]
    return max(safe, key=lambda one: one.step) if safe else None
