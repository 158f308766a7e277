"""Scores of a checkpoint that are no job's: by REST, from a training, or imported from another harness."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from cusp.protocol.scored import Posted, repeated
from monitor.actions.record import record
from monitor.actions.require import run_or_404
from monitor.actions.scores import summary
from monitor.actions.scores.brought import TEXT_CHARS, bounded, chars, store_problems
from monitor.database.engine import Transaction
from monitor.errors import Conflict, QuotaExceeded
from monitor.store import checkpoints
from monitor.store.scores import evaluations, scored_rows

EVALUATIONS_OF_A_RUN = 10_000
ROWS_OF_AN_EVALUATION = 200_000  # as of a worker's

Json = dict[str, Any]


class Taken(NamedTuple):
    """The evaluation as it is now, rows that are new in it, and texts that found no room."""

    evaluation: Any
    stored: int
    left_out: int


def take(
    tx: Transaction,
    run_id: str,
    posted: Posted,
    now: float,
    author: str,
    *,
    cuts: Mapping[int, int] | None = None,
) -> Taken:
    """Store posted scores, or further rows of them; what is there already stays as it is.

    With `cuts` a training sends them in a batch, which a deleted run takes, too: those of the sending attempt and
    the ones before it, latest first. Its checkpoint of the step may be registered later. Conflict for an unknown
    checkpoint, for an evaluation_id of another evaluation, and for rows that cannot be summarised; QuotaExceeded
    beyond the bounds.
    """
    if cuts is None:
        run_or_404(tx, run_id, locked=True)
    places = ((row.problem_id, row.sample) for row in posted.rows)
    if (lack := posted.lack or repeated(places)) is not None:
        raise Conflict(lack)
    checkpoint_id, step = _checkpoint(tx, run_id, posted, cuts)
    head: Json = {"checkpoint_id": checkpoint_id, "step": step}
    head |= posted.model_dump(include={"task", "split", "source"})
    found = _known(tx, run_id, posted.evaluation_id, head)
    if found is None:
        _add(tx, run_id, {"id": posted.evaluation_id, "author": author, **head}, now)
    new, left_out = _store_rows(tx, posted, found)
    store_problems(tx, run_id, posted.task, [one.model_dump() for one in posted.problems])
    if new or found is None:
        scores = {"roles": ["base"] if step == 0 else [], **_numbers(tx, posted, found, new)}
        scores |= posted.model_dump(include={"preset", "engine"})
        evaluations.change(tx, posted.evaluation_id, scores=scores)
        name = "evaluation.stored" if found else "evaluation.posted"
        detail = {name: head[name] for name in ("task", "step", "source")}
        record(tx, name, run_id, now, by=author, target=posted.evaluation_id, detail=detail)
    return Taken(evaluations.get(tx, posted.evaluation_id), len(new), left_out)


def _add(tx: Transaction, run_id: str, head: Json, now: float) -> None:
    if evaluations.count(tx, run_id) >= EVALUATIONS_OF_A_RUN:
        raise QuotaExceeded(
            f"run {run_id} has {EVALUATIONS_OF_A_RUN:,} evaluations, the most there can be"
        )
    evaluations.add_head(tx, run_id, {**head, "scores": {}}, now)


def _known(tx: Transaction, run_id: str, evaluation_id: str, head: Json) -> Any:
    """Return the evaluation of this id, None if it is new; Conflict when it is another one."""
    found = evaluations.get(tx, evaluation_id)
    if found is None:
        return None
    same = found.run_id == run_id and found.job_id is None
    if not same or any(getattr(found, name) != head[name] for name in ("step", "task", "split")):
        raise Conflict(
            f"the evaluation_id {evaluation_id!r} is that of another evaluation; make a new one"
        )
    return found


def _store_rows(tx: Transaction, posted: Posted, found: Any) -> tuple[list[Json], int]:
    """Store the rows that are not there; return them as they are stored, and how many texts found no room."""
    known = (found.scores.get("n_samples") or 0) if found else 0
    names = {row.problem_id for row in posted.rows} if known else set()
    there = scored_rows.keys(tx, posted.evaluation_id, names) if names else set()
    new = [row.model_dump() for row in posted.rows if (row.problem_id, row.sample) not in there]
    if known + len(new) > ROWS_OF_AN_EVALUATION:
        raise QuotaExceeded(
            f"an evaluation has {ROWS_OF_AN_EVALUATION:,} rows at most, and this would have"
            f" {known + len(new):,}; split it by task"
        )
    kept, left_out = bounded(new, TEXT_CHARS - (found.text_chars if found else 0))
    scored_rows.add(tx, posted.evaluation_id, kept)
    if kept:
        evaluations.grow(tx, posted.evaluation_id, chars(kept))
    return kept, left_out


def _numbers(tx: Transaction, posted: Posted, found: Any, new: Sequence[Json]) -> Json:
    if rows := scored_rows.totals(tx, posted.evaluation_id):
        told = summary.of_totals(rows)
        before = found.scores if found else {}
        if before.get("samples_per_problem") == told["samples_per_problem"]:  # all new problems
            answers = [
                summary.Answer(one["problem_id"], one["answer"], one["score"]) for one in new
            ]
            return {**told, **_with_more(tx, posted.evaluation_id, before, answers)}
        return {**told, **summary.of_answers(scored_rows.answered(tx, posted.evaluation_id))}
    told = summary.of_aggregate(posted.pass_at_1 or 0.0, posted.n_problems or 1)
    return {**told, "mean_tokens": posted.mean_tokens}


def _with_more(
    tx: Transaction, evaluation_id: str, before: Json, new: Sequence[summary.Answer]
) -> Mapping[str, float | None]:
    """Return maj@k with the answers of new problems; all answers are read for the first that are told only.

    A posting of 200,000 rows comes in a hundred portions, each in a transaction that others wait for.
    """
    if before.get("maj_at_k") is not None:
        return summary.with_more(before, new)
    told = before["samples_per_problem"] > 1 and any(one.answer is not None for one in new)
    if not told or not summary.are_votes(new) or scored_rows.has_no_votes(tx, evaluation_id):
        return summary.no_majority()
    return summary.of_answers(scored_rows.answered(tx, evaluation_id))


def _checkpoint(
    tx: Transaction, run_id: str, posted: Posted, cuts: Mapping[int, int] | None
) -> tuple[str | None, int]:
    """Return (checkpoint id, step); the id is None for the base model and for one that is not there yet."""
    there = checkpoints.of_run(tx, run_id)
    if posted.checkpoint_id is not None:
        row = next((one for one in there if one.id == posted.checkpoint_id), None)
        if row is None or posted.step not in (None, row.step):
            of = "" if posted.step is None else f" of step {posted.step}"
            raise Conflict(f"run {run_id} has no checkpoint {posted.checkpoint_id!r}{of}")
        return row.id, row.step
    step = int(posted.step or 0)
    found = [one for one in there if one.step == step]
    if cuts is not None:  # a step beyond the cut of an earlier attempt is of another branch
        found = [
            one
            for key in reversed(cuts)
            for one in found
            if one.attempt_key == key and step < cuts[key]
        ]
    elif step and not found:
        raise Conflict(
            f"run {run_id} has no checkpoint of step {step}; it has {_steps(there)}, and step 0 is the"
            " base model"
        )
    return (found[-1].id if found else None), step


def _steps(rows: Sequence[Any]) -> str:
    steps = sorted({one.step for one in rows})
    shown = ", ".join(map(str, steps[:20]))
    return f"steps {shown}{' ...' if len(steps) > 20 else ''}" if steps else "none yet"
