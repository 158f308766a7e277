"""Bars of a simulated share: what lies outside by the simulation's own error is told from a fault by drawing anew.

Of a thousand settings some lie outside of a bar by chance. Each one that does is drawn again, ten times as often and
with random numbers of its own, and only the second share counts: it is chosen by nothing that it shows itself.
"""

from collections.abc import Callable
from math import sqrt
from typing import NamedTuple

AGAIN = 10  # times as many draws


class Bar(NamedTuple):
    """The least and the greatest share that is asked for."""

    least: float = 0.0
    most: float = 1.0

    def outside(self, share: float, error: float = 0.0) -> bool:
        """Return whether a share lies outside by more than two of its standard errors."""
        return share < self.least - 2 * error or share > self.most + 2 * error

    def __str__(self) -> str:
        ends = [f"at least {self.least:.1%}"] * (self.least > 0)
        return " and ".join(ends + [f"at most {self.most:.1%}"] * (self.most < 1))


class Seen(NamedTuple):
    """A setting's share that lay outside of its bar, and the share of the draws after that."""

    words: str
    bar: Bar
    first: float
    again: float
    draws: int

    @property
    def fault(self) -> bool:
        """Whether the second share, too, lies outside, by more than two of its standard errors."""
        return self.bar.outside(self.again, error(self.again, self.draws))

    def __str__(self) -> str:
        what = "FAULT" if self.fault else "chance" if not self.bar.outside(self.again) else "at it"
        spread = 2 * error(self.again, self.draws)
        return f"{what}: {self.words}: {self.first:.1%}, then {self.again:.2%} ± {spread:.2%} ({self.bar})"


def error(share: float, draws: int) -> float:
    """Return the standard error of a share of so many independent draws."""
    return sqrt(share * (1 - share) / draws)


def looked_at(
    words: str, bar: Bar, share: float, draws: int, draw: Callable[[int], float]
) -> list[Seen]:
    """Return nothing if a share lies within its bar, else what `draw`, asked for more draws, gave."""
    if not bar.outside(share):
        return []
    return [Seen(words, bar, share, draw(AGAIN * draws), AGAIN * draws)]


def told(seen: list[Seen], shares: int) -> str:
    """Return the lines on what lay outside, the faults first."""
    faults = sum(each.fault for each in seen)
    head = (
        f"{len(seen)} of {shares} shares lay outside of their bars and were drawn {AGAIN} times as often anew:"
        f" {faults} are outside by more than two standard errors then."
    )
    return "\n".join([head, *(f"- {each}" for each in sorted(seen, key=lambda one: not one.fault))])
