"""Seconds that an engine takes, from what a pilot measured. Pure.

A step of decoding costs something for itself (reading the weights, starting kernels) and something for each token
that is made in it: seconds = step_s * steps + token_s * tokens. On a GPU the first is nearly all, so that 10
completions at once take as long as 200; on a CPU the second. Tokens a second of a small pilot are therefore no
measure of a large evaluation.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls


class Decoding(NamedTuple):
    """Steps of an engine, and the tokens that it computes in them."""

    steps: int
    tokens: int


@dataclass(frozen=True)
class Lanes:
    """How an engine takes completions: so many at once; `together` if a batch ends with its longest one."""

    at_once: int
    together: bool

    def work(self, lengths: Sequence[int]) -> Decoding:
        """Return the work of completions of these lengths in tokens, in this order.

        >>> Lanes(2, together=True).work([5, 1, 3]), Lanes(2, together=False).work([5, 1, 3])
        (Decoding(steps=8, tokens=13), Decoding(steps=5, tokens=9))
        """
        if self.together:
            parts = [lengths[n : n + self.at_once] for n in range(0, len(lengths), self.at_once)]
            steps = [max(part) for part in parts]
            return Decoding(
                sum(steps), sum(len(part) * most for part, most in zip(parts, steps, strict=True))
            )
        ends = [0] * min(self.at_once, len(lengths))
        for length in lengths:  # each to the lane that is free first
            heapq.heapreplace(ends, ends[0] + length)
        return Decoding(max(ends, default=0), sum(lengths))


@dataclass(frozen=True)
class Pace:
    """Seconds of a step, and of each token in it."""

    step_s: float
    token_s: float

    @classmethod
    def of(cls, measured: Sequence[tuple[Decoding, float]]) -> "Pace":
        """Return that of measured (work, seconds): least squares of the relative errors, none below zero.

        >>> Pace.of([(Decoding(10, 10), 1.1), (Decoding(10, 100), 2.0)])
        Pace(step_s=0.1, token_s=0.01)
        """
        sizes = np.array([work for work, _ in measured], dtype=float)
        seconds = np.array([each for _, each in measured])
        found, _ = nnls(sizes / seconds[:, None], np.ones(len(seconds)))
        return cls(*(round(float(each), 12) for each in found))

    def seconds(self, work: Decoding) -> float:
        """Return the seconds that work takes."""
        return self.step_s * work.steps + self.token_s * work.tokens
