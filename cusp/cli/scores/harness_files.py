"""Scores of one task as a file of another harness holds them, whatever the harness."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cusp.errors import CuspError

Json = dict[str, Any]

# The names that Cusp's own tasks have (`cusp tasks list`), where a harness has another.
OURS = {"math_500": "math500", "gpqa:diamond": "gpqa_diamond", "gpqa-diamond": "gpqa_diamond"}


class UnreadableScores(CuspError, ValueError):
    """A file of scores cannot be imported; the message names it and the way out."""


@dataclass(frozen=True)
class TaskScores:
    """Scores of one task: rows, or only an aggregate. `preset` names harness and metric, which judged."""

    task: str
    source: str
    preset: str
    rows: Sequence[Json] = ()
    problems: Sequence[Json] = ()
    pass_at_1: float | None = None
    n_problems: int | None = None
    left_out: Sequence[str] = field(default=())


def our_name(task: str) -> str:
    """Return the name of a harness's task as Cusp calls it: `lighteval|math_500|0|0` -> `math500`.

    >>> our_name("lighteval|math_500|0|0"), our_name("gsm8k")
    ('math500', 'gsm8k')
    """
    parts = task.split("|")
    name = parts[1] if len(parts) > 1 else task
    return OURS.get(name, name)


def one_metric(metrics: Mapping[str, Any], asked: str | None, where: str) -> str:
    """Return the metric to take: the one asked for, or the only one. Which is meant is not guessed.

    UnreadableScores names those that are there.
    """
    there = [name for name in metrics if isinstance(metrics[name], int | float)]
    if asked is None and len(there) == 1:
        return there[0]
    if asked in there:
        return str(asked)
    names = ", ".join(repr(name) for name in there) or "none"
    raise UnreadableScores(
        f"{where} has the metrics {names}; name one with --metric"
        if asked is None
        else f"{where} has no metric {asked!r}; it has {names}"
    )


def share(value: Any, where: str) -> float | None:
    """Return a score from 0 to 1, None where there is none; UnreadableScores for another number."""
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise UnreadableScores(f"{where}: the score {value!r:.60} is no number") from error
    if number != number:
        return None
    if not 0 <= number <= 1:
        raise UnreadableScores(
            f"{where}: the score {number:g} is not from 0 to 1; name another metric with --metric"
        )
    return number
