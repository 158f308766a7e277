"""The rows of evaluations: a score for each sample of each problem, with its text where it was told."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, and_, case, func, or_, select, update

from monitor.database.schema import evaluation_problems, evaluation_rows
from monitor.database.upsert import insert_or_ignore, insert_or_update

_BRIEF = [
    evaluation_rows.c[name]
    for name in ("problem_id", "sample", "score", "tokens", "finish_reason", "seed")
]
_INSERTED = 5_000  # rows a statement


class Mean(NamedTuple):
    """The mean score of a problem's samples, an undecided one counted as wrong, and how many there are."""

    score: float
    samples: int


def add(connection: Connection, evaluation_id: str, rows: Sequence[dict[str, Any]]) -> None:
    """Store rows; those that are there already stay as they are."""
    for start in range(0, len(rows), _INSERTED):
        part = rows[start : start + _INSERTED]
        insert_or_ignore(
            connection, evaluation_rows, [{"evaluation_id": evaluation_id, **row} for row in part]
        )


def add_text(connection: Connection, evaluation_id: str, row: dict[str, Any]) -> bool:
    """Give a row that is there its text and answer; False if it has them already, or is not there."""
    statement = (
        update(evaluation_rows)
        .where(
            evaluation_rows.c.evaluation_id == evaluation_id,
            evaluation_rows.c.problem_id == row["problem_id"],
            evaluation_rows.c.sample == row["sample"],
            evaluation_rows.c.text.is_(None),
            evaluation_rows.c.answer.is_(None),
        )
        .values(text=row["text"], answer=row["answer"])
    )
    return connection.execute(statement).rowcount == 1


def keys(connection: Connection, evaluation_id: str, ids: Collection[str]) -> set[tuple[str, int]]:
    """Return (problem, sample) of the rows of these problems that are there."""
    found = connection.execute(
        select(evaluation_rows.c.problem_id, evaluation_rows.c.sample).where(
            evaluation_rows.c.evaluation_id == evaluation_id,
            evaluation_rows.c.problem_id.in_(ids),
        )
    )
    return {(row[0], row[1]) for row in found}


def add_problems(
    connection: Connection, run_id: str, task: str, problems: Sequence[dict[str, Any]]
) -> None:
    """Store questions and gold answers of a task; the newest word on a problem counts."""
    rows = [{"run_id": run_id, "task": task, **problem} for problem in problems]
    insert_or_update(connection, evaluation_problems, rows)


def count_problems(connection: Connection, run_id: str, task: str) -> int:
    """Return how many problems of a task a run has."""
    return connection.execute(
        select(func.count())
        .select_from(evaluation_problems)
        .where(evaluation_problems.c.run_id == run_id, evaluation_problems.c.task == task)
    ).scalar_one()


def problems(
    connection: Connection, run_id: str, task: str, ids: Sequence[str]
) -> dict[str, Row[Any]]:
    """Return the questions and gold answers that are there, by problem."""
    found = connection.execute(
        select(evaluation_problems).where(
            evaluation_problems.c.run_id == run_id,
            evaluation_problems.c.task == task,
            evaluation_problems.c.problem_id.in_(ids),
        )
    )
    return {row.problem_id: row for row in found}


def means(connection: Connection, evaluation_id: str) -> dict[str, Mean]:
    """Return the mean score of each problem, by problem in order."""
    of = evaluation_rows.c.problem_id
    total = func.sum(func.coalesce(evaluation_rows.c.score, 0.0))
    statement = (
        select(of, total, func.count())
        .where(evaluation_rows.c.evaluation_id == evaluation_id)
        .group_by(of)
        .order_by(of)
    )
    return {row[0]: Mean(row[1] / row[2], row[2]) for row in connection.execute(statement)}


def totals(connection: Connection, evaluation_id: str) -> Sequence[Row[Any]]:
    """Return samples, score, decided, tokens and how many told them, ends and cuts of each problem, in order."""
    one = evaluation_rows.c
    statement = (
        select(
            one.problem_id,
            func.count().label("samples"),
            func.sum(func.coalesce(one.score, 0.0)).label("score"),
            func.count(one.score).label("decided"),
            func.coalesce(func.sum(one.tokens), 0).label("tokens"),
            func.count(one.tokens).label("told"),
            func.count(one.finish_reason).label("ends"),
            func.count(case((one.finish_reason == "length", 1))).label("cuts"),
        )
        .where(one.evaluation_id == evaluation_id)
        .group_by(one.problem_id)
        .order_by(one.problem_id)
    )
    return connection.execute(statement).all()


def answered(connection: Connection, evaluation_id: str) -> Sequence[Row[Any]]:
    """Return (problem_id, answer, score, how often) of the samples' answers, by problem."""
    columns: list[Any] = [evaluation_rows.c[name] for name in ("problem_id", "answer", "score")]
    told = [*columns, func.count().label("samples")]
    return connection.execute(
        select(*told)
        .where(evaluation_rows.c.evaluation_id == evaluation_id)
        .group_by(*columns)
        .order_by(columns[0])
    ).all()


def has_no_votes(connection: Connection, evaluation_id: str) -> bool:
    """Return whether a score lies between wrong and right, or a right sample has no answer."""
    score = evaluation_rows.c.score
    untold = and_(score != 0, evaluation_rows.c.answer.is_(None))
    statement = select(evaluation_rows.c.sample).where(
        evaluation_rows.c.evaluation_id == evaluation_id, or_(score.not_in((0.0, 1.0)), untold)
    )
    return connection.execute(statement.limit(1)).first() is not None


def scores(connection: Connection, evaluation_id: str) -> Sequence[Row[Any]]:
    """Return (problem_id, sample, score, tokens, finish_reason, seed) of all rows in order."""
    return connection.execute(
        select(*_BRIEF)
        .where(evaluation_rows.c.evaluation_id == evaluation_id)
        .order_by(evaluation_rows.c.problem_id, evaluation_rows.c.sample)
    ).all()


def of_problems(
    connection: Connection, evaluation_id: str, ids: Sequence[str], most: int
) -> dict[str, list[Row[Any]]]:
    """Return the first `most` samples of these problems with their texts, by problem."""
    found = connection.execute(
        select(evaluation_rows)
        .where(
            evaluation_rows.c.evaluation_id == evaluation_id,
            evaluation_rows.c.problem_id.in_(ids),
            evaluation_rows.c.sample < most,
        )
        .order_by(evaluation_rows.c.problem_id, evaluation_rows.c.sample)
    )
    by_problem: dict[str, list[Row[Any]]] = {}
    for row in found:
        by_problem.setdefault(row.problem_id, []).append(row)
    return by_problem


def page(
    connection: Connection, evaluation_id: str, after: tuple[str, int], most: int
) -> Sequence[Row[Any]]:
    """Return up to `most` rows with their texts after this (problem_id, sample), in order."""
    problem, sample = evaluation_rows.c.problem_id, evaluation_rows.c.sample
    beyond = or_(problem > after[0], and_(problem == after[0], sample > after[1]))
    statement = select(evaluation_rows).where(
        evaluation_rows.c.evaluation_id == evaluation_id, beyond
    )
    return connection.execute(statement.order_by(problem, sample).limit(most)).all()
