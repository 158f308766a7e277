"""Decisions from held-out scores: which checkpoint to keep, and that the run is stopped. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from cusp.protocol.run import Policy
from cusp.verification.sequential import Comparison, Scores
from monitor.policy.decide import Decision, Saved
from monitor.policy.known_scores import best, common, enough, mean
from monitor.policy.verify import PastLook, said, scored


def decided(looks: Sequence[PastLook], saved: Sequence[Saved], policy: Policy) -> list[Decision]:
    """Return what follows from looks of which the last found the weights worse for certain: keep the best, stop."""
    look = looks[-1]
    finding, measured = finding_of(look), look.measured or look.step
    chosen = best_scored(looks, saved)
    words = _worse(measured, _told(look, chosen))
    decisions = []
    if chosen is not None:
        reason = f"{_scored_best(looks, saved, chosen)} {words}"
        decisions.append(Decision(finding, "keep", reason, measured, chosen))
    if policy.action != "watch":
        kind = "stop" if policy.action == "stop" else "propose"
        decisions.append(Decision(finding, kind, words, measured, chosen))
    return decisions


def worse_words(step: int, compared: Sequence[Comparison]) -> str:
    """Return the sentence that the weights of a step are worse, by the checkpoint that is best against them.

    >>> found = [Comparison(20, -0.25, -0.4, -0.1, 64), Comparison(60, -0.1, -0.2, 0.0, 64)]
    >>> worse_words(65, found).split(": ")[1]
    '-0.25 (95 % interval -0.40 to -0.10) against step 20 on 64 problems.'
    """
    return _worse(step, sorted(compared, key=lambda one: one.difference)[:1])


def _worse(step: int, compared: Sequence[Comparison]) -> str:
    told = "; ".join(said(one) for one in compared)
    return f"On held-out problems the weights of step {step} are worse{f': {told}' * bool(told)}."


def finding_of(look: PastLook) -> str:
    """Return the finding of decisions by a look."""
    return f"verification {look.id}"


def keeping_best(
    decisions: Sequence[Decision], looks: Sequence[PastLook], saved: Sequence[Saved]
) -> list[Decision]:
    """Return decisions by the signals; where checkpoints were scored they keep the best of these.

    Held-out accuracy often sinks before the signals turn, so the last safe one is not the best.
    """
    chosen = best_scored(looks, saved)
    if chosen is None:
        return list(decisions)
    reason = _scored_best(looks, saved, chosen)
    return [
        replace(one, checkpoint=chosen, reason=f"{reason} {one.reason}")
        if one.kind == "keep"
        else replace(one, checkpoint=chosen)
        for one in decisions
    ]


def best_scored(looks: Sequence[PastLook], saved: Sequence[Saved]) -> Saved | None:
    """Return the checkpoint with the best scores of all looks that still count, None where none was scored."""
    there, found = {one.step: one for one in saved}, _all_scores(looks)
    scores = {step: found[step] for step in sorted(found) if step in there}
    return there[best(scores)] if scores else None


def _told(look: PastLook, chosen: Saved | None) -> Sequence[Comparison]:
    """Return the comparison with the checkpoint that is kept; with all where it was not among them."""
    return [
        one for one in look.comparisons if chosen and one.step == chosen.step
    ] or look.comparisons


def _scored_best(looks: Sequence[PastLook], saved: Sequence[Saved], chosen: Saved) -> str:
    there = {one.step for one in saved}
    scores = {step: found for step, found in _all_scores(looks).items() if step in there}
    found = common(scores)
    means = ", ".join(f"step {step}: {mean(found[step]):.2f}" for step in sorted(found))
    return (
        f"Step {chosen.step} scored best of the earlier checkpoints on {len(found[chosen.step])} held-out"
        f" problems ({means})."
    )


def _all_scores(looks: Sequence[PastLook]) -> dict[int, Scores]:
    """Return the scores of all looks whose weights are not left behind, but for those of too few problems."""
    return enough(scored(look for look in looks if look.state != "superseded"))
