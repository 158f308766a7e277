"""Verifications: who asked for which, and the answer. A row without an outcome waits for its command or job.

`scores` is {step: [score of each problem, NULL where it was not decided]}, keys as text.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from cusp.ids import new_id
from monitor.database.schema import commands, jobs, verifications

_WITH_STATE = (
    select(
        verifications,
        commands.c.state.label("command_state"),
        commands.c.state_reason,
        jobs.c.state.label("job_state"),
        jobs.c.error,
        jobs.c.worker,
        jobs.c.lease_until,
        jobs.c.payload,
    )
    .outerjoin(commands, commands.c.id == verifications.c.command_id)
    .outerjoin(jobs, jobs.c.id == verifications.c.job_id)
    .order_by(verifications.c.id)
)
_OF_RUN = _WITH_STATE.where(verifications.c.run_id == bindparam("run"))
_ONE = _WITH_STATE.where(verifications.c.id == bindparam("id"))
_OUTCOMES = (
    select(
        verifications.c.outcome,
        verifications.c.suspected,
        verifications.c.measured_step,
        verifications.c.attempt_key,
        verifications.c.comparisons,
    )
    .where(
        verifications.c.run_id == bindparam("run"),
        verifications.c.outcome.in_(("worse", "not_worse")),
    )
    .order_by(verifications.c.id)
)

_SINCE = select(
    verifications.c.outcome, verifications.c.measured_step, verifications.c.attempt_key
).where(verifications.c.run_id == bindparam("run"), verifications.c.step >= bindparam("step"))


class Outcomes(NamedTuple):
    """Steps whose weights were found not worse while a transition was suspected, and whether any were worse.

    `newest_worse`: step and comparisons of the newest weights, None unless these were found worse.
    """

    refuted: list[int]
    worse: bool
    newest_worse: tuple[int, Sequence[Mapping[str, Any]]] | None


def add(connection: Connection, run_id: str, now: float, **values: Any) -> None:
    """Store a verification that was asked for."""
    connection.execute(insert(verifications).values(run_id=run_id, created_at=now, **values))


def add_answered(connection: Connection, run_id: str, now: float, **values: Any) -> Row[Any]:
    """Store a verification that is answered at once, by no command or job, and return it."""
    given = new_id()
    add(connection, run_id, now, id=given, **values)
    return connection.execute(_ONE, {"id": given}).one()


def get(connection: Connection, verification_id: str) -> Row[Any] | None:
    """Return the verification with the state of its command or job, or None."""
    return connection.execute(_ONE, {"id": verification_id}).one_or_none()


def of_run(connection: Connection, run_id: str) -> Sequence[Row[Any]]:
    """Return the run's verifications with the state of their command or job, oldest first."""
    return connection.execute(_OF_RUN, {"run": run_id}).all()


def asked_by(
    connection: Connection, run_id: str, kind: Literal["command_id", "job_id"], of: str
) -> Row[Any] | None:
    """Return the verification that the run's command or job of this id is to answer, or None."""
    return connection.execute(
        select(verifications).where(verifications.c.run_id == run_id, verifications.c[kind] == of)
    ).one_or_none()


def answer(connection: Connection, verification_id: str, **values: Any) -> bool:
    """Store the answer; return whether it is the first one."""
    return (
        connection.execute(
            update(verifications)
            .where(verifications.c.id == verification_id, verifications.c.outcome.is_(None))
            .values(**values)
        ).rowcount
        == 1
    )


def outcomes(connection: Connection, run_id: str, cuts: Mapping[int, int]) -> Outcomes:
    """Return what the verifications of the effective series have found."""
    found = connection.execute(_OUTCOMES, {"run": run_id}).all()
    rows = [row for row in found if row.measured_step < cuts.get(row.attempt_key, 0)]
    refuted = {row.measured_step for row in rows if row.suspected and row.outcome == "not_worse"}
    newest = rows[-1] if rows and rows[-1].outcome == "worse" else None
    return Outcomes(
        sorted(refuted),
        any(row.outcome == "worse" for row in rows),
        (newest.measured_step, newest.comparisons or ()) if newest else None,
    )


def asked_since(connection: Connection, run_id: str, step: float, cuts: Mapping[int, int]) -> bool:
    """Return whether a verification was asked for at this step or later, of weights that still count."""
    found = connection.execute(_SINCE, {"run": run_id, "step": step}).all()
    return any(
        row.outcome is None or row.measured_step < cuts.get(row.attempt_key, 0) for row in found
    )
