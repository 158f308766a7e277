"""What is asked of a judge of answers (`trainer/math_judge.py`), and what it says; no math-verify here."""

from typing import Literal, NamedTuple

JUDGE_VERSION = 1
"""Raised with each change after which a completion may be judged differently: scores that are kept are made anew."""

Way = Literal[
    "math_verify",
    "math_verify_tina",
    "math_verify_tina_swapped",
    "lighteval",
    "choice",
    "reasoning_gym",
]
Question = Literal["outcome", "answer"]
"""Whether a completion is right, or what it answers."""

Outcome = Literal["right", "wrong", "no gold", "failed"]
"""`no gold`: the gold could not be read. `failed`: the comparison raised, crashed or took too long."""

Pair = tuple[str, str]
"""A gold answer and a completion."""


class Limits(NamedTuple):
    """Seconds: a pair's first try, its second one, and what slow pairs may cost a call in all.

    A pair takes 4 ms of a free core. Of 24 pairs that hang two cores have tried each after 6 s.
    """

    quick: float = 0.5
    timeout: float = 3.0
    budget: float = 8.0
    each: float = 0.1

    def of_call(self, pairs: int) -> float:
        """Return the most seconds that a call with so many pairs takes.

        >>> Limits().of_call(24)
        10.4
        """
        return self.budget + self.each * pairs


PATIENT = Limits(quick=2.0, timeout=10.0, budget=60.0, each=0.5)
"""Of an evaluation, which no step waits for: there what is not decided counts as wrong, and a loaded box is slow."""
