"""Tokens, time and dollars of an evaluation, told before it starts. Pure.

Tokens are completions times their mean length, task by task, where the length was measured: in a pilot with
the first candidate, or in earlier evaluations. Of m lengths with standard deviation s the mean is known to
1.96 s / sqrt(m), which is how far off the tokens may be; other candidates may write longer ones.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from trainer.evaluation.tasks.problem import TaskSpec

SHARE = 0.05
"""Of an evaluation's completions at most, for its pilot."""
FEWEST = 256
"""Completions below which an evaluation is over before a pilot tells anything."""
MOST = 512
"""Completions of a pilot: with a coefficient of variation of 1 their mean is known to 9 %."""


@dataclass(frozen=True)
class Lengths:
    """Mean length of a task's completions in tokens, and its standard error (NaN: not known)."""

    mean: float
    error: float

    @classmethod
    def of(cls, tokens: Sequence[int]) -> "Lengths":
        """Return those of measured completions.

        >>> Lengths.of([10, 20, 30, 40])
        Lengths(mean=25.0, error=6.454972243679028)
        """
        spread = stdev(tokens) if len(tokens) > 1 else float("nan")
        return cls(fmean(tokens), spread / math.sqrt(len(tokens)))


@dataclass(frozen=True)
class Forecast:
    """What an evaluation will take; `error` is the relative error of `tokens` (95 %), None: not known.

    `before`: how many of the completions were made before; time and dollars are those of the others.
    """

    completions: int
    tokens: float
    error: float | None
    seconds: float | None
    usd: float | None
    before: int = 0

    @property
    def words(self) -> str:
        """The forecast as a line.

        >>> Forecast(1000, 2.4e6, 0.08, 5400.0, 3.0).words
        '1,000 completions of about 2.4 million tokens (to 8 %), about 90 minutes, 3.00 USD'
        """
        sure = f" (to {100 * self.error:.0f} %)" if self.error is not None else ""
        parts = [f"{self.completions:,} completions of about {_amount(self.tokens)} tokens{sure}"]
        if self.before:
            parts.append(f"{self.before:,} of them made before")
        if self.seconds is not None:
            parts.append(f"about {_time(self.seconds)}")
        if self.usd is not None:
            parts.append(f"{self.usd:.2f} USD")
        return ", ".join(parts)


def completions_of(task: TaskSpec) -> int:
    """Return how many completions a task takes of each candidate."""
    return len(task.problems) * task.sampling.samples_per_problem


def forecast(
    tasks: Sequence[TaskSpec],
    candidates: int,
    lengths: Mapping[str, Lengths],
    usd_per_hour: float | None,
    *,
    tokens_per_s: float | None = None,
    seconds: float | None = None,
) -> Forecast:
    """Return what so many candidates take on these tasks; a task that was not measured has the others' mean length.

    The time is `seconds` where a pilot's pace tells them, else that of all tokens at `tokens_per_s`.
    """
    usual = Lengths(fmean(each.mean for each in lengths.values()), float("nan"))
    numbers: dict[str, int] = {}
    for task in tasks:
        numbers[task.name] = numbers.get(task.name, 0) + candidates * completions_of(task)
    known = [(number, lengths.get(name, usual)) for name, number in numbers.items()]
    tokens = sum(number * length.mean for number, length in known)
    variance = sum((number * length.error) ** 2 for number, length in known)
    error = None if math.isnan(variance) else 1.96 * math.sqrt(variance) / tokens
    if seconds is None and tokens_per_s:
        seconds = tokens / tokens_per_s
    usd = (
        seconds * usd_per_hour / 3600 if seconds is not None and usd_per_hour is not None else None
    )
    return Forecast(sum(numbers.values()), tokens, error, seconds, usd)


def pilot_sizes(tasks: Sequence[TaskSpec], candidates: int) -> list[int]:
    """Return how many problems of each task a pilot asks, one completion each; none of a short evaluation.

    They are shared as the completions are, two of a task at least: SHARE of all, MOST at most.
    """
    each = [completions_of(task) for task in tasks]
    whole = candidates * sum(each)
    if whole < FEWEST:
        return [0] * len(tasks)
    pilot = min(MOST, SHARE * whole)
    return [
        min(len(task.problems), max(2, round(pilot * own / sum(each))))
        for task, own in zip(tasks, each, strict=True)
    ]


def _amount(number: float) -> str:
    if number >= 1e6:
        return f"{number / 1e6:.1f} million"
    return f"{number:,.0f}"


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 3 * 3600 else f"{seconds / 3600:.1f} hours"
