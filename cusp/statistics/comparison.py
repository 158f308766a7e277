"""Compares candidates with a reference that was fixed beforehand: paired differences, Holm's correction, the best.

Selecting and reporting on the same samples would bias the winner's score upwards; so candidates are ranked on the
selection set, and every number that is shown comes from the report set, but for those of a candidate that the
screen (`trainer/evaluation/screening.py`) found worse on the selection set already.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from cusp.statistics import Difference, Scores, holm, paired_difference
from cusp.statistics.choice import MARGIN, CorrectedRow, choose, unscored

ALPHA = 0.05  # of any false "better" or "worse" among all rows of a comparison
FIRST = 0.5  # of ALPHA: for the candidate that ranks highest; benchmarks/evaluation/zoo_choice.py


NOT_CHOSEN = (
    "No checkpoint is chosen: not all have scores on a selection set, and to choose on the set that is"
    " reported would flatter the winner."
)


class ScoredSet(Protocol):
    """An evaluation of one checkpoint on one set: a worker's, or one that was posted to the monitor."""

    @property
    def task(self) -> str: ...

    @property
    def pass_at_1(self) -> float: ...

    @property
    def n_problems(self) -> int: ...

    @property
    def scores(self) -> Scores: ...


@dataclass(frozen=True)
class ScoredCandidate:
    """A checkpoint (step 0: the base model) with its roles and its evaluations, one for each task of a set.

    `report` is empty for one that the screen dropped.
    """

    roles: tuple[str, ...]
    step: int
    selection: tuple[ScoredSet, ...]
    report: tuple[ScoredSet, ...]

    @property
    def words(self) -> str:
        """Name of the candidate, like `step 40 (pre-transition)`."""
        place = "the base model" if self.step == 0 else f"step {self.step}"
        roles = [role for role in self.roles if role != "base"]
        return f"{place} ({', '.join(roles)})" if roles else place

    @property
    def rank(self) -> float:
        """Mean pass@1 over all problems of the selection set."""
        problems = sum(each.n_problems for each in self.selection)
        return sum(each.pass_at_1 * each.n_problems for each in self.selection) / problems

    def scores(self, split: str) -> dict[str, Scores]:
        """Return the scores of one set by task."""
        evaluations = self.report if split == "report" else self.selection
        return {each.task: each.scores for each in evaluations}


def reference_of(
    candidates: Sequence[ScoredCandidate], reference_step: int | None
) -> ScoredCandidate:
    """Return the candidate of the reference step; without such a step the last candidate that is fully scored.

    Where that step could not be scored: the nearest earlier one that is, else the first. What is told is then
    told against it, but it is what nobody chose, so nothing becomes best.
    """
    ordered = sorted(candidates, key=lambda each: each.step)
    full = [each for each in ordered if each.report] or ordered
    if reference_step is None:
        return full[-1]
    found = [each for each in ordered if each.step == reference_step]
    return (found or [each for each in full if each.step < reference_step][-1:] or full)[0]


def compare(
    candidates: Sequence[ScoredCandidate],
    reference_step: int | None,
    *,
    alphas: tuple[float, float] = (0.0, ALPHA),
    planned_mde: float | None = None,
    greedy: bool = False,
    left_out: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the `Comparison` of docs/reference/rest.md.

    `best` is the reference unless a candidate is better on the report set, after Holm's correction over rows
    (`choice.py`); it is None where the reference could not be scored, or some have no selection set. Without a
    reference step the last candidate is the reference. `alphas` are the errors that the screen and the report set
    may make, `planned_mde` what was told before scoring, `left_out` sentences on candidates that could not be
    scored.
    """
    ordered = sorted(candidates, key=lambda each: each.step)
    reference = reference_of(ordered, reference_step)
    others = [each for each in ordered if each is not reference]
    rows: dict[int, CorrectedRow] = {}
    tasks: dict[int, list[dict[str, Any]]] = {}
    for split, alpha in zip(("selection", "report"), alphas, strict=True):
        if not reference.scores(split):
            continue
        tested = [each for each in others if split == "selection" or each.report]
        found = rows_of(split, tested, reference, alpha, greedy=greedy)
        told = {each.step for each in others if bool(each.report) == (split == "report")}
        by_task = _by_task(tested, reference, split, alpha, greedy)
        rows |= {step: found[step] for step in told}
        tasks |= {step: by_task[step] for step in told}
    best: ScoredCandidate | None = None
    if not all(each.selection for each in ordered):
        reason = NOT_CHOSEN
    elif reference_step in (None, reference.step):
        best, reason = choose(ordered, reference, rows)
    else:
        reason = unscored(reference_step, reference)
    return {
        "task": " + ".join(reference.scores("report")),
        "split": "report",
        "reference": {"role": _main_role(reference), "step": reference.step},
        "rows": [_told(each, rows[each.step], tasks[each.step]) for each in others],
        "best": best and {"roles": list(best.roles), "step": best.step},
        "reason": " ".join([reason, *left_out]),
        "alpha": ALPHA,
        "margin": MARGIN,
        "planned_mde": planned_mde,
    }


def rows_of(
    split: str,
    tested: Sequence[ScoredCandidate],
    reference: ScoredCandidate,
    alpha: float,
    *,
    greedy: bool = False,
) -> dict[int, CorrectedRow]:
    """Return the row of each candidate on one set, corrected for all of them."""
    against = reference.scores(split)
    differences = [paired_difference(each.scores(split), against, greedy=greedy) for each in tested]
    weights = weights_of(tested, reference) if split == "report" else [1.0] * len(tested)
    adjusted = holm([each.p_value for each in differences], weights)
    return {
        each.step: CorrectedRow(split, found, p, alpha, sum(weights) / weight)
        for each, found, p, weight in zip(tested, differences, adjusted, weights, strict=True)
    }


def weights_of(tested: Sequence[ScoredCandidate], reference: ScoredCandidate) -> list[float]:
    """Return the weights of the rows in Holm's correction.

    The candidate that ranks highest on the selection set has FIRST of the error, as it is the one that may become the
    best; the report set is disjoint, so its weight does not depend on what is tested. Where that is the
    reference, all are alike.
    """
    if not all(each.selection for each in [*tested, reference]):
        return [1.0] * len(tested)
    top = max(tested, key=lambda each: each.rank, default=reference)
    if top.rank <= reference.rank or len(tested) == 1:
        return [1.0] * len(tested)
    rest = (1 - FIRST) / (len(tested) - 1)
    return [FIRST if each is top else rest for each in tested]


def _main_role(candidate: ScoredCandidate) -> str:
    return candidate.roles[0] if candidate.roles else f"step {candidate.step}"


def _told(
    candidate: ScoredCandidate, row: CorrectedRow, tasks: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return the `ComparisonRow`, with a line for each task where there is more than one."""
    return {
        "roles": list(candidate.roles),
        "step": candidate.step,
        "split": row.split,
        **_numbers(row.difference),
        "p_adjusted": row.p_adjusted,
        "level": row.alpha,
        "verdict": row.verdict,
        "mde": row.difference.detectable(row.alpha, row.rows) if row.difference.error else None,
        "equivalent": row.equivalent,
        "tasks": tasks,
    }


def _by_task(
    tested: Sequence[ScoredCandidate],
    reference: ScoredCandidate,
    split: str,
    alpha: float,
    greedy: bool,
) -> dict[int, list[dict[str, Any]]]:
    """Return each candidate's difference on each task of a set, corrected by Holm over candidates and tasks."""
    against = reference.scores(split)
    names = sorted(against) if len(against) > 1 else []
    told: dict[int, list[dict[str, Any]]] = {each.step: [] for each in tested}
    found = [
        (
            each,
            name,
            paired_difference(
                {name: each.scores(split)[name]}, {name: against[name]}, greedy=greedy
            ),
        )
        for each in tested
        for name in names
    ]
    adjusted = holm([difference.p_value for _, _, difference in found])
    for (each, name, difference), p in zip(found, adjusted, strict=True):
        verdict = difference.verdict(p, alpha)
        told[each.step].append(
            {"task": name, **_numbers(difference), "p_adjusted": p, "verdict": verdict}
        )
    return told


def _numbers(difference: Difference) -> dict[str, Any]:
    return {
        "difference": difference.value,
        "low": difference.low,
        "high": difference.high,
        "fixed_low": difference.fixed_low,
        "fixed_high": difference.fixed_high,
        "fixed_bound": difference.fixed_bound,
        "p_value": difference.p_value,
    }
