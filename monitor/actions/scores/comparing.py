"""The paired comparison of checkpoints by the rows that are stored, whoever brought them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from monitor.actions.lease import point_best
from monitor.actions.record import record
from monitor.actions.require import run_or_404
from monitor.actions.scores import summary
from monitor.database.engine import Transaction
from monitor.errors import Conflict
from monitor.schemas.evaluation import Comparison
from monitor.store import checkpoints, jobs
from monitor.store.scores import evaluations, scored_rows

if TYPE_CHECKING:
    from cusp.statistics import Scores
    from cusp.statistics.comparison import ScoredCandidate

BY = "monitor"  # in place of a worker's name
SPLITS = ("selection", "report")


@dataclass(frozen=True)
class SetOfRows:
    """The scores of one checkpoint on one task, of the problems that all compared ones have."""

    task: str
    scores: "Scores"

    @property
    def n_problems(self) -> int:
        return len(self.scores)

    @property
    def pass_at_1(self) -> float:
        from cusp.statistics import pass_at_1

        return pass_at_1(self.scores).value


def compare_stored(
    tx: Transaction,
    run_id: str,
    now: float,
    author: str,
    *,
    task: str | None = None,
    reference_step: int | None = None,
    steps: Collection[int] = (),
) -> dict[str, Any]:
    """Compare the steps that have rows of the reference's tasks, and keep that as a finished `evaluate` job.

    `best` moves by the rule for workers' comparisons (`cusp/statistics/choice.py`) where every step has rows of a
    selection set, too; without one, or where `steps` are named, no checkpoint is chosen. Conflict says what is
    missing.
    """
    from cusp.statistics import NotComparable
    from cusp.statistics.comparison import compare

    run_or_404(tx, run_id, locked=True)
    there = [row for row in evaluations.with_rows(tx, run_id) if task in (None, row.task)]
    if steps:
        there = [row for row in there if row.step in steps]
    reference = _reference(tx, run_id, there, reference_step)
    sets, left_out = _comparable(there, reference)
    try:
        candidates = _candidates(tx, sets)
        found = compare(candidates, reference, left_out=left_out)
    except NotComparable as error:
        raise Conflict(str(error)) from error
    named = bool(steps) or found["best"] is None
    if named:
        found["best"] = None
    comparison = Comparison.model_validate(found).model_dump()
    payload = {
        "candidates": [{"step": one.step, "roles": list(one.roles)} for one in candidates],
        "reference_step": reference,
        "named": named,
        "author": author,
    }
    job = jobs.add_done(tx, run_id, "evaluate", payload, {"comparison": comparison}, BY, now)
    if not named:
        point_best(tx, run_id, now, comparison)
    record(tx, "evaluation.compared", run_id, now, by=author, target=job.id)
    return {"job_id": job.id, "comparison": {**comparison, "named": named}}


Sets = Mapping[int, Mapping[tuple[str, str], Any]]  # step -> (task, split) -> evaluation


def _reference(tx: Transaction, run_id: str, there: Sequence[Any], asked: int | None) -> int:
    """Return the step to compare with: the one asked for, `pre-transition`, else the last with rows."""
    reported = {row.step for row in there if row.split == "report"}
    if len(reported) < 2:
        raise Conflict(
            f"a comparison needs rows of two checkpoints on the report set of one task; run {run_id} has"
            f" {f'those of step {reported.pop()}' if reported else 'none'}"
        )
    if asked is not None:
        if asked not in reported:
            steps = ", ".join(map(str, sorted(reported)))
            raise Conflict(f"step {asked} has no rows on the report set; steps {steps} have")
        return asked
    kept = checkpoints.with_aliases(tx, run_id).aliases.get("pre-transition")
    return int(kept.step) if kept is not None and kept.step in reported else max(reported)


def _comparable(there: Sequence[Any], reference: int) -> tuple[Sets, list[str]]:
    """Return the evaluations of each step that has all the reference has, and why others are left out.

    Scores by two presets are of two judges, so their difference is not one of the checkpoints.
    """
    by_step: dict[int, dict[tuple[str, str], Any]] = {}
    for row in there:
        by_step.setdefault(row.step, {})[row.task, row.split] = row
    wanted = {key: row for key, row in by_step[reference].items() if key[1] == "report"}
    sets: dict[int, dict[tuple[str, str], Any]] = {}
    left_out = []
    for step, found in sorted(by_step.items()):
        lacking = [key[0] for key in wanted if key not in found]
        other = [
            key[0]
            for key, row in wanted.items()
            if key in found and _preset(found[key]) != _preset(row)
        ]
        if lacking or other:
            why = (
                f"has no rows of {lacking[0]}" if lacking else f"was judged otherwise on {other[0]}"
            )
            left_out.append(f"Step {step} was left out: it {why}.")
        else:
            tasks = {key[0] for key in wanted}
            sets[step] = {key: row for key, row in found.items() if key[0] in tasks}
    if len(sets) < 2:
        raise Conflict(f"only step {reference} can be compared. {' '.join(left_out)}")
    return sets, left_out


def _preset(row: Any) -> Any:
    return row.scores.get("preset")


def _candidates(tx: Transaction, sets: Sets) -> "list[ScoredCandidate]":
    from cusp.statistics.comparison import ScoredCandidate

    keys = set.intersection(*(set(found) for found in sets.values()))
    splits: dict[str, dict[int, list[SetOfRows]]] = {split: {} for split in SPLITS}
    for key in sorted(keys):
        rows = {step: scored_rows.scores(tx, found[key].id) for step, found in sets.items()}
        both = set.intersection(*({row.problem_id for row in of} for of in rows.values()))
        if not both:
            raise Conflict(f"the checkpoints were scored on different problems of {key[0]}")
        for step, of in rows.items():
            scores = summary.scores_of([row for row in of if row.problem_id in both])
            splits[key[1]].setdefault(step, []).append(SetOfRows(key[0], scores))
    return [
        ScoredCandidate(
            tuple(next(iter(found.values())).scores.get("roles", ())),
            step,
            tuple(splits["selection"].get(step, ())),
            tuple(splits["report"][step]),
        )
        for step, found in sets.items()
    ]
