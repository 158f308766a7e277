"""pass@1 with its intervals of posted rows, or of an aggregate.

NumPy and SciPy are imported with the first posted scores, not at the monitor's start.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from monitor.errors import Conflict

if TYPE_CHECKING:
    from cusp.statistics import Scores


def of_rows(rows: Sequence[Any]) -> dict[str, Any]:
    """Return the numbers of a `RunEvaluation`, made of its rows in the order of problem and sample.

    Conflict when the problems have different numbers of samples, or no sample was decided.
    """
    from cusp.statistics import NotComparable, pass_at_1

    matrix = scores_of(rows)
    try:
        found = pass_at_1(matrix)
    except NotComparable as error:
        raise Conflict(str(error)) from error
    tokens = [row.tokens for row in rows if row.tokens is not None]
    ends = [row.finish_reason == "length" for row in rows if row.finish_reason is not None]
    return {
        "samples_per_problem": matrix.shape[1],
        "pass_at_1": found.value,
        "low": found.low,
        "high": found.high,
        "fixed_low": found.fixed_low,
        "fixed_high": found.fixed_high,
        "n_problems": found.problems,
        "n_samples": found.samples,
        "errors": found.errors,
        "mean_tokens": sum(tokens) / len(tokens) if tokens else None,
        "truncated_share": sum(ends) / len(ends) if ends else None,
    }


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
    counts = {len(samples) for samples in by_problem.values()}
    if len(counts) > 1:
        few = min(by_problem, key=lambda name: len(by_problem[name]))
        raise Conflict(
            f"every problem needs as many samples, but {few!r} has {min(counts)} and another one"
            f" {max(counts)}; post whole problems at a time"
        )
    values = [[float("nan") if s is None else s for s in found] for found in by_problem.values()]
    return np.array(values, dtype=float).reshape(len(values), -1)


def grouped(rows: Sequence[Any]) -> Mapping[str, list[float | None]]:
    """Return the scores of each problem's samples."""
    found: dict[str, list[float | None]] = {}
    for row in rows:
        found.setdefault(row.problem_id, []).append(row.score)
    return found
