"""pass@1 with its intervals of posted rows, or of an aggregate.

NumPy and SciPy are imported with the first posted scores, not at the monitor's start.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from monitor.errors import Conflict

if TYPE_CHECKING:
    from cusp.statistics import Scores
    from cusp.statistics.majority import Vote

_MAJORITY = ("maj_at_k", "maj_low", "maj_high")


class Answer(NamedTuple):
    """What so many samples of a problem answered, None where no answer was told, and their score."""

    problem_id: str
    answer: str | None
    score: float | None
    samples: int = 1


def prepare() -> None:
    """Import what posted scores need, which may take a second: to be called before the transaction."""
    import_module("cusp.statistics.majority")


def of_totals(rows: Sequence[Any]) -> dict[str, Any]:
    """Return the numbers of a `RunEvaluation`, made of the totals of its problems (`scored_rows.totals`).

    Conflict when the problems have different numbers of samples, or no sample was decided.
    """
    import numpy as np

    from cusp.statistics.proportion import NotComparable, of_means

    samples = _samples({row.problem_id: row.samples for row in rows})
    errors = sum(row.samples - row.decided for row in rows)
    try:
        found = of_means(np.array([row.score / samples for row in rows]), samples, errors)
    except NotComparable as error:
        raise Conflict(str(error)) from error
    told, ends = sum(row.told for row in rows), sum(row.ends for row in rows)
    return {
        "samples_per_problem": samples,
        "pass_at_1": found.value,
        "low": found.low,
        "high": found.high,
        "fixed_low": found.fixed_low,
        "fixed_high": found.fixed_high,
        "n_problems": found.problems,
        "n_samples": found.samples,
        "errors": found.errors,
        "mean_tokens": int(sum(row.tokens for row in rows)) / told if told else None,
        "truncated_share": sum(row.cuts for row in rows) / ends if ends else None,
    }


def of_answers(rows: Sequence[Any]) -> dict[str, float | None]:
    """Return maj@k with its interval of `scored_rows.answered`.

    None for one sample a problem, for scores between right and wrong, and where a right sample has no answer: then
    answers were not told.
    """
    from cusp.statistics.majority import majority_at_k

    votes = _votes(rows)
    alone = max(map(len, votes.values()), default=0) < 2
    if alone or not are_votes(rows) or not any(row.answer is not None for row in rows):
        return no_majority()
    found = majority_at_k(list(votes.values()))
    return _told(found.value, found.low, found.high)


def with_more(before: Mapping[str, Any], rows: Sequence[Answer]) -> dict[str, float | None]:
    """Return maj@k of an evaluation whose numbers were `before`, which has one, with the answers of further problems.

    Its interval needs no more than its value and the number of problems: one vote is a problem's only sample.
    """
    from cusp.statistics.majority import voted
    from cusp.statistics.proportion import mid_p

    if not are_votes(rows):
        return no_majority()
    known, votes = before["n_problems"], voted(list(_votes(rows).values()))
    share = min(1.0, (before["maj_at_k"] * known + sum(votes)) / (known + len(votes)))
    return _told(share, *mid_p(share, known + len(votes)))


def no_majority() -> dict[str, float | None]:
    """Return the numbers of an evaluation without maj@k."""
    return dict.fromkeys(_MAJORITY)


def are_votes(rows: Sequence[Any]) -> bool:
    """Return whether each score is right or wrong, and each right sample has an answer."""
    graded = any(row.score not in (None, 0, 1) for row in rows)
    return not graded and not any(row.score and row.answer is None for row in rows)


def _votes(rows: Sequence[Any]) -> "dict[str, list[Vote]]":
    votes: dict[str, list[Vote]] = {}
    for row in rows:
        votes.setdefault(row.problem_id, []).extend([(row.answer, row.score)] * row.samples)
    return votes


def _told(value: float, low: float, high: float) -> dict[str, float | None]:
    return dict(zip(_MAJORITY, (value, low, high), strict=True))


def of_aggregate(share: float, problems: int) -> dict[str, Any]:
    """Return the same for a share of so many problems: what was not told is None.

    The interval is that of one sample a problem, which is as wide as it can be (Hoeffding 1956).
    """
    from cusp.statistics.proportion import mid_p

    low, high = mid_p(share, problems)
    unknown = ("samples_per_problem", "n_samples", "errors", "mean_tokens", "truncated_share")
    return {
        **dict.fromkeys(unknown),
        "pass_at_1": share,
        "low": low,
        "high": high,
        "fixed_low": None,
        "fixed_high": None,
        "n_problems": problems,
    }


def scores_of(rows: Sequence[Any]) -> "Scores":
    """Return the scores as an array, one row a problem, one column a sample, NaN for undecided."""
    import numpy as np

    by_problem = grouped(rows)
    _samples({name: len(found) for name, found in by_problem.items()})
    values = [[float("nan") if s is None else s for s in found] for found in by_problem.values()]
    return np.array(values, dtype=float).reshape(len(values), -1)


def _samples(counts: Mapping[str, int]) -> int:
    """Return how many samples each problem has; Conflict where they differ."""
    few, many = min(counts.values()), max(counts.values())
    if few < many:
        raise Conflict(
            f"every problem needs as many samples, but {min(counts, key=lambda name: counts[name])!r} has"
            f" {few} and another one {many}; post whole problems at a time"
        )
    return few


def grouped(rows: Sequence[Any]) -> Mapping[str, list[float | None]]:
    """Return the scores of each problem's samples."""
    found: dict[str, list[float | None]] = {}
    for row in rows:
        found.setdefault(row.problem_id, []).append(row.score)
    return found
