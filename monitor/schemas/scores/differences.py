"""The `Differences` of docs/reference/rest.md: problems on which two evaluations differ, with both texts."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from monitor.database.engine import Transaction
from monitor.errors import NotFound
from monitor.schemas.base import Json, Shape, columns
from monitor.schemas.evaluation import roles_of
from monitor.store import checkpoints
from monitor.store.scores import evaluations, scored_rows
from monitor.store.scores.scored_rows import Mean

_SAME = 1e-9  # means of the same samples differ by rounding only


class SampleText(Shape):
    """One completion; `text` and `answer` are null where they were not told."""

    sample: int
    score: float | None
    tokens: int | None
    finish_reason: str | None
    seed: int | None
    text: str | None
    answer: str | None


class Side(Shape):
    """One of the two evaluations."""

    evaluation_id: str
    checkpoint_id: str | None
    step: int
    roles: list[str]
    source: str
    pass_at_1: float


class OneSide(Shape):
    """A problem in one of the two: its mean score, and the first samples."""

    score: float
    samples: list[SampleText]


class DifferingProblem(Shape):
    problem_id: str
    question: str | None
    gold: str | None
    first: OneSide
    second: OneSide


class Differences(Shape):
    """Counts are over all problems that both have; `problems` is a page of those that differ."""

    task: str
    split: Literal["selection", "report"]
    first: Side
    second: Side
    compared: int
    first_better: int
    second_better: int
    problems: list[DifferingProblem]
    next: str | None


def differences(
    tx: Transaction,
    run_id: str,
    steps: tuple[int, int],
    *,
    task: str | None,
    split: str,
    after: str | None,
    limit: int,
    samples: int,
) -> Json:
    """Return the `Differences` of two steps of a run; without `task` of the first that both have rows of.

    NotFound names the steps and tasks that have rows.
    """
    first, second = _both(tx, run_id, steps, task, split)
    means = [scored_rows.means(tx, one.id) for one in (first, second)]
    both = [name for name in means[0] if name in means[1]]
    differing = {name: gap for name in both if abs(gap := _gap(means, name)) > _SAME}
    names = [name for name in _after(both, after) if name in differing]
    shown = names[:limit]
    texts = [scored_rows.of_problems(tx, one.id, shown, samples) for one in (first, second)]
    asked = scored_rows.problems(tx, run_id, first.task, shown)
    aliases = checkpoints.aliases_of(tx, run_id)
    return {
        "task": first.task,
        "split": split,
        "first": _side(first, aliases),
        "second": _side(second, aliases),
        "compared": len(both),
        "first_better": sum(gap > 0 for gap in differing.values()),
        "second_better": sum(gap < 0 for gap in differing.values()),
        "problems": [_problem(name, means, texts, asked.get(name)) for name in shown],
        "next": shown[-1] if len(names) > limit else None,
    }


def sample_text(row: Any) -> Json:
    """Return a `SampleText`."""
    return columns(row, tuple(SampleText.model_fields))


def _both(
    tx: Transaction, run_id: str, steps: tuple[int, int], task: str | None, split: str
) -> tuple[Any, Any]:
    there: dict[str, dict[int, Any]] = {}
    for row in evaluations.with_rows(tx, run_id):
        if row.split == split:
            there.setdefault(row.task, {})[row.step] = row
    for name in sorted(there) if task is None else [task]:
        found = there.get(name, {})
        if all(step in found for step in steps):
            return found[steps[0]], found[steps[1]]
    raise NotFound(_none_of(there, steps, task, split))


def _none_of(
    there: Mapping[str, Mapping[int, Any]], steps: tuple[int, int], task: str | None, split: str
) -> str:
    told = "; ".join(
        f"{name}: steps {', '.join(map(str, sorted(of)))}" for name, of in sorted(there.items())
    )
    return (
        f"steps {steps[0]} and {steps[1]} have no rows of {'one task' if task is None else repr(task)}"
        f" on the {split} set; there are {told or 'none'}"
    )


def _gap(means: Sequence[Mapping[str, Mean]], name: str) -> float:
    return means[0][name].score - means[1][name].score


def _after(names: list[str], after: str | None) -> list[str]:
    if after is None:
        return names
    return names[names.index(after) + 1 :] if after in names else []


def _side(row: Any, aliases: Mapping[str, str]) -> Json:
    return {
        "evaluation_id": row.id,
        **columns(row, ("checkpoint_id", "step", "source")),
        "roles": roles_of(row, aliases),
        "pass_at_1": row.scores["pass_at_1"],
    }


def _problem(
    name: str,
    means: Sequence[Mapping[str, Mean]],
    texts: Sequence[Mapping[str, Sequence[Any]]],
    asked: Any,
) -> Json:
    sides = [
        {"score": of[name].score, "samples": [sample_text(row) for row in rows.get(name, ())]}
        for of, rows in zip(means, texts, strict=True)
    ]
    told = columns(asked, ("question", "gold")) if asked else {"question": None, "gold": None}
    return {"problem_id": name, **told, "first": sides[0], "second": sides[1]}
