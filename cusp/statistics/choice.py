"""Which candidate is best: the reference, unless another one is better on the report set. Pure.

Of equal candidates the highest on the selection set is another one than the reference seven times of eight, and
tells nothing; so an alias that moved with it would move at random (decision 0018).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from cusp.statistics import Difference
from cusp.statistics.paired import Verdict

MARGIN = (
    0.03  # of pass@1: about what the best of 17 equal checkpoints of Tina's table gains by chance
)


class Ranked(Protocol):
    """A candidate with its place on the selection set."""

    @property
    def step(self) -> int: ...

    @property
    def rank(self) -> float: ...

    @property
    def words(self) -> str: ...


One = TypeVar("One", bound=Ranked)


@dataclass(frozen=True)
class CorrectedRow:
    """A candidate's difference to the reference on one set, with Holm's adjusted p-value.

    At Holm's first step the candidate has `alpha / rows` of the error (with equal weights: of as many rows).
    """

    split: str
    difference: Difference
    p_adjusted: float
    alpha: float
    rows: float

    @property
    def verdict(self) -> Verdict:
        """Whether the candidate is better or worse than the reference, after Holm's correction."""
        return self.difference.verdict(self.p_adjusted, self.alpha)

    @property
    def equivalent(self) -> bool:
        """Whether the two are equal within MARGIN."""
        return self.difference.within(MARGIN)


def choose(
    ordered: Sequence[One], reference: One, rows: Mapping[int, CorrectedRow]
) -> tuple[One, str]:
    """Return the best candidate and the reason as text.

    Of those that are better than the reference on the report set the one that ranks highest on the selection
    set; without any the reference stands. Ties go to the reference, then the earliest.
    """
    better = [
        each for each in ordered if each is not reference and rows[each.step].verdict == "better"
    ]
    if better:
        best = max(better, key=lambda each: each.rank)
        return best, _sentence(_said(best, reference, rows[best.step]))
    top = max(ordered, key=lambda each: (each.rank, each is reference))
    first = f"Of {len(ordered)} candidates {top.words} scored highest on the selection set ({top.rank:.3f})"
    if top is reference:
        return reference, f"{first}; it is the reference itself, and no other is better."
    said = _said(top, reference, rows[top.step])
    return reference, _sentence(f"{reference.words} stands. {first}, but on the report set {said}")


def unscored(step: int | None, stand_in: Ranked) -> str:
    """Return why there is no best candidate: the reference could not be scored."""
    return (
        f"The reference, step {step}, could not be scored, so no checkpoint is chosen; the differences are to"
        f" {stand_in.words}."
    )


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _said(one: Ranked, reference: Ranked, row: CorrectedRow) -> str:
    """Return a clause like `step 20 is not distinguishable from step 40: +.010, 95 % -.030 to +.050`."""
    found = row.difference
    numbers = f"{found.value:+.3f}, 95 % {found.low:+.3f} to {found.high:+.3f}"
    numbers += f", p {row.p_adjusted:.2g} after Holm"
    if row.verdict != "not distinguishable":
        return f"{one.words} is {row.verdict} than {reference.words}: {numbers}"
    if row.equivalent:
        equal = f"equal within {MARGIN}"
    elif found.error:
        mde = found.detectable(row.alpha, row.rows)
        equal = f"a difference of {mde:.3f} would be found 4 times of 5"
    else:
        alike = "differ alike" if found.value else "are the same"
        equal = (
            f"all scores {alike}, but {found.problems} problems are too few to call them"
            f" {'different' if found.value else f'equal within {MARGIN}'}"
        )
    return f"it is not distinguishable from {reference.words}: {numbers}; {equal}"
