"""What the worker of a job brings of an evaluation after its scores: the texts of its rows, the problems."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from cusp.protocol.scored import MAX_ANSWER, cut
from monitor.actions.record import record
from monitor.actions.require import run_or_404
from monitor.database.engine import Transaction
from monitor.errors import Conflict
from monitor.store import jobs
from monitor.store.scores import evaluations, scored_rows

TEXT_CHARS = 50_000_000  # of all rows of one evaluation: 2,500 of them at their longest
PROBLEMS_OF_A_TASK = 20_000

Json = dict[str, Any]


class Kept(NamedTuple):
    """Rows that were stored, and texts that found no room."""

    stored: int
    left_out: int


def take_texts(
    tx: Transaction,
    job_id: str,
    token: int,
    now: float,
    place: tuple[int, str, str],
    rows: Sequence[Json],
) -> Kept:
    """Store the texts of the evaluation of this (step, task, split) that the job has brought.

    LeaseLost when another worker has the job, Conflict before its scores are there. A repeat changes nothing.
    """
    job = jobs.held(tx, job_id, token)
    found = evaluations.of_job(tx, job_id, *place)
    if found is None:
        step, task, split = place
        raise Conflict(
            f"job {job_id} has brought no scores of step {step} on {task!r}, {split} set; post these first"
        )
    kept, left_out = bounded(rows, TEXT_CHARS - found.text_chars)
    new = [row for row in kept if scored_rows.add_text(tx, found.id, row)]
    if new:
        evaluations.grow(tx, found.id, chars(new))
        record(tx, "evaluation.stored", job.run_id, now)
    return Kept(len(new), left_out)


def take_problems(
    tx: Transaction, job_id: str, token: int, task: str, problems: Sequence[Json]
) -> int:
    """Store the problems of a task that the job's run is scored on; return how many.

    LeaseLost as for `take_texts`.
    """
    job = jobs.held(tx, job_id, token)
    run_or_404(tx, job.run_id, locked=True)
    return store_problems(tx, job.run_id, task, problems)


def store_problems(tx: Transaction, run_id: str, task: str, problems: Sequence[Json]) -> int:
    """Store problems with their texts cut, as far as the run has room for the task; return how many."""
    room = PROBLEMS_OF_A_TASK - scored_rows.count_problems(tx, run_id, task)
    unique = {one["problem_id"]: one for one in problems}
    known = scored_rows.problems(tx, run_id, task, list(unique))
    some = [one for name, one in unique.items() if name in known or (room := room - 1) >= 0]
    made = [
        {
            "problem_id": one["problem_id"],
            "question": cut(one["question"]),
            "gold": cut(one["gold"], MAX_ANSWER),
        }
        for one in some
    ]
    scored_rows.add_problems(tx, run_id, task, made)
    return len(made)


def chars(rows: Sequence[Json]) -> int:
    """Return the characters of the rows' texts."""
    return sum(len(row.get("text") or "") + len(row.get("answer") or "") for row in rows)


def bounded(rows: Sequence[Json], room: int) -> tuple[list[Json], int]:
    """Return the rows with their texts cut, and how many texts found no room and are left out."""
    kept, left_out = [], 0
    for row in rows:
        text, answer = row.get("text"), row.get("answer")
        text = None if text is None else cut(text)
        answer = None if answer is None else cut(answer, MAX_ANSWER)
        size = len(text or "") + len(answer or "")
        if size > room:
            left_out += 1
            text = answer = None
        else:
            room -= size
        kept.append({**row, "text": text, "answer": answer})
    return kept, left_out
