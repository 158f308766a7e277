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
from monitor.schemas.evaluation import Comparison, roles_of
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
    run_or_404(tx, run_id, locked=True)
    there = [row for row in evaluations.with_rows(tx, run_id) if task in (None, row.task)]
    if steps:
        there = [row for row in there if row.step in steps]
    reference = _reference(tx, run_id, there, reference_step)
    sets, left_out = _comparable(there, reference)
    comparison = _compared(_candidates(tx, run_id, sets), reference, left_out)
    named = bool(steps) or comparison["best"] is None
    if named:
        comparison["best"] = None
    payload = {"candidates": [{"step": step} for step in sets], "reference_step": reference}
    payload |= {"named": named, "author": author}
    job = jobs.add_done(tx, run_id, "evaluate", payload, {"comparison": comparison}, BY, now)
    if not named:
        point_best(tx, run_id, now, comparison)
    record(tx, "evaluation.compared", run_id, now, by=author, target=job.id)
    return {"job_id": job.id, "comparison": {**comparison, "named": named}}


def _compared(
    candidates: "list[ScoredCandidate]", reference: int, left_out: Sequence[str]
) -> dict[str, Any]:
    from cusp.statistics import NotComparable
    from cusp.statistics.comparison import compare

    try:
        found = compare(candidates, reference, left_out=left_out)
    except NotComparable as error:
        raise Conflict(str(error)) from error
    return Comparison.model_validate(found).model_dump()


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
    tasks = {key[0] for key in wanted}
    of = {key: row for key, row in by_step[reference].items() if key[0] in tasks}
    sets: dict[int, dict[tuple[str, str], Any]] = {}
    left_out = []
    for step, found in sorted(by_step.items()):
        if why := _lack(found, wanted):
            left_out.append(f"Step {step} was left out: it {why}.")
        else:
            sets[step] = {key: found[key] for key, row in of.items() if _same(found.get(key), row)}
    if len(sets) < 2:
        raise Conflict(f"only step {reference} can be compared. {' '.join(left_out)}")
    return sets, left_out


def _lack(
    found: Mapping[tuple[str, str], Any], wanted: Mapping[tuple[str, str], Any]
) -> str | None:
    """Return why a step cannot be compared with one that has `wanted`."""
    for key, row in wanted.items():
        if key not in found:
            return f"has no rows of {key[0]}"
        if not _same(found[key], row):
            return f"was judged otherwise on {key[0]}"
    return None


def _same(row: Any, wanted: Any) -> bool:
    """Return whether scores are there and by the same judge as the wanted ones."""
    return row is not None and row.scores.get("preset") == wanted.scores.get("preset")


def _candidates(tx: Transaction, run_id: str, sets: Sets) -> "list[ScoredCandidate]":
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
    aliases = checkpoints.aliases_of(tx, run_id)
    return [
        ScoredCandidate(
            tuple({role: 0 for row in found.values() for role in roles_of(row, aliases)}),
            step,
            tuple(splits["selection"].get(step, ())),
            tuple(splits["report"][step]),
        )
        for step, found in sets.items()
    ]
