"""Compares candidates: the best is selected on one set and reported on another, disjoint one.

Selecting and reporting on the same samples would bias the winner's score upwards; so the maximum is taken
on the selection set, and every number shown comes from the report set.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainer.evaluation.evaluate import Evaluation
from trainer.evaluation.statistics import Difference, paired_difference


@dataclass(frozen=True)
class ScoredCandidate:
    """A checkpoint (step 0: the base model) with its roles and its two evaluations."""

    roles: tuple[str, ...]
    step: int
    selection: Evaluation
    report: Evaluation

    @property
    def words(self) -> str:
        """Name of the candidate, like `step 40 (pre-transition)`."""
        place = "the base model" if self.step == 0 else f"step {self.step}"
        roles = [role for role in self.roles if role != "base"]
        return f"{place} ({', '.join(roles)})" if roles else place


def compare(
    candidates: Sequence[ScoredCandidate],
    reference_step: int | None,
    *,
    seed: int = 0,
    left_out: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the `Comparison` of docs/reference/rest.md.

    `best` is the best on the selection set, unless the report set shows that it is worse than the
    reference. Without a reference step the last candidate is the reference. `left_out` are sentences on
    candidates that could not be scored.
    """
    ordered = sorted(candidates, key=lambda each: each.step)
    reference = next((each for each in ordered if each.step == reference_step), ordered[-1])
    differences = {
        each.step: paired_difference(
            {each.report.task: each.report.scores},
            {reference.report.task: reference.report.scores},
            seed,
        )
        for each in ordered
        if each is not reference
    }
    best, reason = choose(ordered, reference, differences)
    return {
        "task": reference.report.task,
        "split": "report",
        "reference": {"role": _main_role(reference), "step": reference.step},
        "rows": [_row(each, differences[each.step]) for each in ordered if each is not reference],
        "best": {"roles": list(best.roles), "step": best.step},
        "reason": " ".join([reason, *left_out]),
    }


def choose(
    ordered: Sequence[ScoredCandidate],
    reference: ScoredCandidate,
    differences: Mapping[int, Difference],
) -> tuple[ScoredCandidate, str]:
    """Return the best candidate and the reason as text; ties go to the reference, then the earliest."""
    top = max(each.selection.pass_at_1 for each in ordered)
    winners = [each for each in ordered if each.selection.pass_at_1 == top]
    winner = reference if reference in winners else winners[0]
    chosen = f"Of {len(ordered)} candidates {winner.words} scored highest on the selection set ({top:.3f})"
    if winner is reference:
        return winner, f"{chosen}; it is the reference itself."
    difference = differences[winner.step]
    told = (
        f"on the report set it is {difference.value:+.3f}"
        f" [{difference.low:+.3f}, {difference.high:+.3f}] against {reference.words}"
    )
    if difference.verdict == "worse":
        return reference, f"{chosen}, but {told}: worse, so {reference.words} is kept."
    if difference.verdict == "better":
        return winner, f"{chosen}, and {told}: better."
    return (
        winner,
        f"{chosen}; {told}: not distinguishable (a difference of {difference.mde:.3f} would be).",
    )


def _main_role(candidate: ScoredCandidate) -> str:
    return candidate.roles[0] if candidate.roles else f"step {candidate.step}"


def _row(candidate: ScoredCandidate, difference: Difference) -> dict[str, Any]:
    return {
        "roles": list(candidate.roles),
        "step": candidate.step,
        "difference": difference.value,
        "low": difference.low,
        "high": difference.high,
        "verdict": difference.verdict,
        "mde": difference.mde,
    }
