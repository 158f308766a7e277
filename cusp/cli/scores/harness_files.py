"""Scores of one task as a file of another harness holds them, whatever the harness."""

from collections.abc import Iterable, Mapping, Sequence
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

    Names are `SUITE|TASK|SHOTS[|0]`, `SUITE|TASK` and, of lighteval without suites, `TASK|SHOTS`.

    >>> our_name("lighteval|math_500|0|0"), our_name("aime24|0"), our_name("gsm8k")
    ('math500', 'aime24', 'gsm8k')
    """
    first, *rest = task.split("|")
    name = rest[0] if rest and not rest[0].isdecimal() else first
    return OURS.get(name, name)


def named_apart(tasks: Iterable[str], file: str) -> None:
    """Raise UnreadableScores where two tasks of a file have one name here: they would be compared as one."""
    names: dict[str, str] = {}
    for task in tasks:
        other = names.setdefault(our_name(task), task)
        if other != task:
            raise UnreadableScores(
                f"{file} has {other!r} and {task!r}, which are both {our_name(task)!r} here and would be compared as"
                " one; import the samples or details of one of them"
            )


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


def metrics_of(
    tasks: Mapping[str, Mapping[str, Any]], asked: str | None, file: str
) -> dict[str, str]:
    """Return the metric to take of each task of a file: the one asked for, or its only one.

    What one task lacks another may have. UnreadableScores where no task has the metric, and as `one_metric`.
    """
    found = {}
    for task, values in tasks.items():
        others = asked is not None and any(asked in each for each in tasks.values())
        alone = sum(isinstance(value, int | float) for value in values.values()) == 1
        found[task] = one_metric(
            values, None if others and alone else asked, f"{file}, task {task},"
        )
    return found


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
