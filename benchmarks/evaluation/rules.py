"""Rules that choose a checkpoint from scored candidates: Cusp's, Cusp's until 2026-11-30, the best of all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cusp.statistics import Scores, paired_difference, spending
from cusp.statistics.comparison import ALPHA, ScoredCandidate, compare
from trainer.evaluation.screening import dropped


@dataclass(frozen=True)
class Chosen:
    """The step chosen, the score claimed for it, samples generated, and how many rows were called better and worse."""

    step: int
    claimed: float
    samples: int
    better: int = 0
    worse: int = 0


Sets = Mapping[str, Scores]  # task -> scores


def candidate(
    step: int, selection: Sets, report: Sets, roles: Sequence[str] = ()
) -> ScoredCandidate:
    """Return a candidate with these scores."""
    return ScoredCandidate(tuple(roles), step, _evaluations(selection), _evaluations(report))


@dataclass(frozen=True)
class Simulated:
    """Simulated scores of one checkpoint on one set: a `ScoredSet` without rows."""

    task: str
    scores: Scores

    @property
    def pass_at_1(self) -> float:
        """The mean of all samples."""
        return float(self.scores.mean())

    @property
    def n_problems(self) -> int:
        """How many problems were scored."""
        return len(self.scores)


def _evaluations(sets: Sets) -> tuple[Simulated, ...]:
    return tuple(Simulated(task, scores) for task, scores in sets.items())


def count(candidates: Sequence[ScoredCandidate]) -> int:
    """Return the samples generated for these candidates."""
    return sum(each.scores.size for one in candidates for each in (*one.selection, *one.report))


def cusp(candidates: Sequence[ScoredCandidate], reference: int, *, screen: bool = True) -> Chosen:
    """Return what Cusp does: screen on the selection set, compare on the report set, move only to what is better."""
    alphas, kept = (0.0, ALPHA), list(candidates)
    if screen:
        one = candidates[0]
        first = sum(each.scores.size for each in one.selection)
        share = first / (first + sum(each.scores.size for each in one.report))
        screened, full = spending(ALPHA, (share, 1.0))
        alphas = (screened, full)
        out = dropped(candidates, reference, screened)
        kept = [
            ScoredCandidate(each.roles, each.step, each.selection, ()) if each.step in out else each
            for each in candidates
        ]
    found = compare(kept, reference, alphas=alphas)
    verdicts = [row["verdict"] for row in found["rows"]]
    step = found["best"]["step"]
    return Chosen(
        step,
        _claimed(candidates, step),
        count(kept),
        verdicts.count("better"),
        verdicts.count("worse"),
    )


def until_now(candidates: Sequence[ScoredCandidate], reference: int) -> Chosen:
    """Return the highest on the selection set unless the report set says worse; not corrected (decision 0003)."""
    at = {each.step: each for each in candidates}
    against = at[reference].scores("report")
    rows = {
        step: paired_difference(one.scores("report"), against)
        for step, one in at.items()
        if step != reference
    }
    top = max(candidates, key=lambda each: (each.rank, each.step == reference))
    worse = [step for step, row in rows.items() if row.high < 0]
    step = reference if top.step in worse else top.step
    better = sum(row.low > 0 for row in rows.values())
    return Chosen(step, _claimed(candidates, step), count(candidates), better, len(worse))


def best_of_all(candidates: Sequence[ScoredCandidate], reference: int) -> Chosen:
    """Return the highest on all problems, with that score claimed: what is done by hand."""

    def mean(one: ScoredCandidate) -> float:
        every = [*one.selection, *one.report]
        return sum(each.pass_at_1 * each.n_problems for each in every) / sum(
            each.n_problems for each in every
        )

    top = max(candidates, key=lambda each: (mean(each), each.step == reference))
    return Chosen(top.step, mean(top), count(candidates))


def _claimed(candidates: Sequence[ScoredCandidate], step: int) -> float:
    """Return the score shown for a candidate: that of the report set."""
    report = next(each for each in candidates if each.step == step).report
    problems = sum(each.n_problems for each in report)
    return sum(each.pass_at_1 * each.n_problems for each in report) / problems
