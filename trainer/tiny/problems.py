"""Additions of two numbers of equal length, in fixed disjoint splits.

The split depends on the pair, not on a seed: base model and training only see `train` pairs, so every
held-out problem is new to both, whatever the seed.
"""

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from cusp.errors import CuspError
from trainer.chat import messages
from trainer.recipe import TinyData

Split = Literal["train", "selection", "report"]


class TooFewProblems(CuspError, ValueError):
    """More distinct problems were requested than exist."""


@dataclass(frozen=True)
class Addition:
    """One problem; `id` is stable across runs and machines."""

    first: int
    second: int

    @property
    def id(self) -> str:
        return f"{self.first}+{self.second}"

    @property
    def question(self) -> str:
        return f"{self.first}+{self.second}="

    @property
    def answer(self) -> str:
        return str(self.first + self.second)


def split_of(problem: Addition) -> Split:
    """Return the split of `problem`: 3/4 train, 1/8 selection, 1/8 report.

    >>> [split_of(Addition(a, 34)) for a in (10, 11, 12, 13)]
    ['train', 'train', 'train', 'train']
    """
    eighth = hashlib.sha256(problem.id.encode()).digest()[0] % 8
    return "selection" if eighth == 0 else "report" if eighth == 1 else "train"


def stream(rng: random.Random, digits: int, split: Split) -> Iterator[Addition]:
    """Yield random problems of `split` without end, with replacement."""
    low, high = 10 ** (digits - 1), 10**digits
    while True:
        problem = Addition(rng.randrange(low, high), rng.randrange(low, high))
        if split_of(problem) == split:
            yield problem


def draw(seed: int, count: int, digits: int, split: Split) -> list[Addition]:
    """Return `count` distinct problems of `split`, determined by `seed`.

    Raises TooFewProblems when the split may not hold that many.
    """
    available = 9 * 10 ** (digits - 1)
    if count > available**2 // 16:
        raise TooFewProblems(
            f"{count} different {digits}-digit problems were asked for the {split} set;"
            f" ask for at most {available**2 // 16}"
        )
    chosen: dict[Addition, None] = {}
    problems = stream(random.Random(f"{seed}/{digits}/{split}"), digits, split)
    while len(chosen) < count:
        chosen[next(problems)] = None
    return list(chosen)


def tiny_problems(data: TinyData) -> list[Addition]:
    """Return the generated problems, including hard ones, in an order fixed by the seed."""
    hard = round(data.problems * data.hard_share)
    problems = draw(data.seed, data.problems - hard, data.digits, "train")
    problems += draw(data.seed, hard, data.hard_digits, "train")
    random.Random(data.seed).shuffle(problems)
    return problems


def tiny_row(problem: Addition) -> dict[str, Any]:
    return {"prompt": messages(problem.question, None), "solution": problem.answer}
