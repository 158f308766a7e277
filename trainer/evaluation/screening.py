"""Plan and stages of an evaluation: all candidates on the selection set, those not clearly worse on the report set.

A candidate that the first stage drops is called worse, so both stages share one error (`spending`): the screen
has .0019 of .05 where the selection set has two fifths of the samples.
"""

from collections.abc import Sequence

from cusp.statistics import detectable_difference, spending
from cusp.statistics.comparison import ALPHA, FIRST, ScoredCandidate, reference_of, rows_of
from trainer.evaluation.tasks import TaskSpec


def errors_of_stages(
    selection: Sequence[TaskSpec], report: Sequence[TaskSpec]
) -> tuple[float, float]:
    """Return the errors that the screen and the report set may make, by their shares of the samples."""
    first, second = (
        sum(len(each.problems) * each.sampling.samples_per_problem for each in tasks)
        for tasks in (selection, report)
    )
    screen, full = spending(ALPHA, (first / (first + second), 1.0))
    return screen, full


def dropped(
    candidates: Sequence[ScoredCandidate],
    reference_step: int | None,
    alpha: float,
) -> set[int]:
    """Return the steps of the candidates that are worse than the reference on the selection set."""
    reference = reference_of(candidates, reference_step)
    others = [each for each in candidates if each is not reference]
    rows = rows_of("selection", others, reference, alpha)
    return {step for step, row in rows.items() if row.verdict == "worse"}


def planned_mde(report: Sequence[TaskSpec], rows: int) -> float:
    """Return the difference that is to be found 4 times of 5, as far as it can be told before scoring.

    It is that of the candidate that ranks highest, which has FIRST of the error if there are several rows.
    """
    problems = sum(len(task.problems) for task in report)
    samples = min(task.sampling.samples_per_problem for task in report)
    return detectable_difference(problems, samples, rows=1 / FIRST if rows > 1 else 1)


def plan_line(report: Sequence[TaskSpec], rows: int, planned: float) -> str:
    """Return a log line on what an evaluation can find, told before it starts."""
    sets = "; ".join(
        f"{task.name}, {len(task.problems)} problems, {task.sampling.samples_per_problem} a problem"
        for task in report
    )
    return (
        f"{sets}, {rows} candidate{'' if rows == 1 else 's'} against the reference: a true difference of about"
        f" {100 * planned:.1f} points of the one that ranks highest would be found 4 times of 5"
    )
