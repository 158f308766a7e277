"""What a worker does with a job that it holds: claim, heartbeat, scores, end; and ending one for it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from monitor.actions.promote import move_alias, usable_checkpoints
from monitor.actions.record import record
from monitor.actions.verify import answer
from monitor.database.engine import Transaction
from monitor.errors import Conflict
from monitor.runs import looks
from monitor.store import checkpoints, jobs, runs
from monitor.store.scores import evaluations

Json = dict[str, Any]


class Ended(NamedTuple):
    """How a job ended; of a verification also the step from which the verdicts change, None: nowhere."""

    run_id: str
    state: str
    answered: bool
    refuted_from: int | None


def claim(
    tx: Transaction, now: float, worker: str, kinds: Sequence[str], only: Sequence[str] | None
) -> Json | None:
    """Return the longest waiting job, leased to the worker, None if none waits; `only`: of these runs."""
    row = jobs.claim(tx, worker, kinds, now, only)
    if row is None:
        return None
    _tell(tx, "job.changed", row.run_id, now)
    fields = {"id": row.id, "kind": row.kind, "run_id": row.run_id, "payload": row.payload}
    return {**fields, "token": row.token, "attempt": row.attempts, "lease_s": jobs.LEASE_S}


def prolong(
    tx: Transaction, job_id: str, token: int, now: float, progress: Json | None, log: Json | None
) -> Json:
    """Prolong the lease and return its seconds and who asked that the job ends.

    LeaseLost when another has the job by now.
    """
    row = jobs.heartbeat(tx, job_id, token, now, progress)
    if log is not None:
        jobs.keep_log(tx, row, log["total"], log["lines"], now)
    if progress is not None:
        _tell(tx, "job.changed", row.run_id, now)
    return {"lease_s": jobs.LEASE_S, "cancelled_by": row.cancelled_by}


def store_scores(
    tx: Transaction, job_id: str, token: int, now: float, scored: Json, rows: Sequence[Json]
) -> bool:
    """Store one evaluation with its rows; return whether it is new.

    LeaseLost is raised as for `prolong`, Conflict for a checkpoint of another run.
    """
    job = jobs.held(tx, job_id, token)
    checkpoint_id = scored["checkpoint_id"]
    row = checkpoints.get(tx, checkpoint_id) if checkpoint_id else None
    if checkpoint_id and (row is None or row.run_id != job.run_id):
        raise Conflict(f"run {job.run_id} has no checkpoint {checkpoint_id!r}")
    new = evaluations.add(tx, job.run_id, job_id, scored, rows, now)
    record(tx, "evaluation.stored", job.run_id, now)
    return new


def finish(
    tx: Transaction,
    job_id: str,
    token: int,
    now: float,
    *,
    state: str,
    error: str | None,
    result: Json | None,
    comparison: Json | None,
    log: Json | None = None,
) -> Ended:
    """End the job; the best checkpoint of an evaluation's comparison gets the alias `best`.

    That of named checkpoints moves nothing. A verification whose scores answer nothing has failed. LeaseLost is
    raised as for `prolong`.
    """
    job = jobs.held(tx, job_id, token)
    runs.lock(tx, job.run_id)
    if log is not None:
        jobs.keep_log(tx, job, log["total"], log["lines"], now)
    refuted_from: int | None = None
    if state == "done" and job.kind == "verify":
        try:
            refuted_from = answer.take_result(tx, job, result or {}, now)
        except answer.Unusable as unusable:
            state, error = "failed", str(unusable)
    jobs.finish(tx, job_id, token, now, state=state, error=error, result=result)
    if state == "done" and job.kind == "evaluate" and not job.payload.get("named"):
        point_best(tx, job.run_id, now, comparison)
    failure = None if state == "done" else error or "the worker gave no reason"
    _tell_ended(tx, job, now, failure, comparison)
    _tell(tx, "job.ended", job.run_id, now)
    return Ended(job.run_id, state, answered=job.kind == "verify", refuted_from=refuted_from)


def give_up(tx: Transaction, job: Any, now: float) -> None:
    """Fail a job whose workers were lost again and again, if it still waits for one."""
    if jobs.give_up_one(tx, job, now):  # before the run's row, as workers' requests do
        _tell(tx, "job.changed", job.run_id, now)
        _tell_ended(tx, job, now, "its worker was lost again and again", None)


def cancel(tx: Transaction, job: Any, now: float, author: str) -> Ended | None:
    """End a job that no worker has, and return how, else ask its worker to end it.

    What it brought so far stays. Conflict is raised for one that is over, and for a training whose run is there.
    """
    begun = runs.get(tx, job.run_id) is not None
    named = "training" if jobs.is_new_training(job) else f"{job.kind} job"
    if jobs.cancel(tx, job.id, now, author, held=job.kind == "train" and not begun):
        told = "training.cancelled" if jobs.is_new_training(job) else "job.cancelled"
        _tell(tx, told, job.run_id, now, author, job.id)
        _tell_ended(tx, job, now, f"cancelled by {author}", None)
        _tell(tx, "job.ended", job.run_id, now)
        return Ended(job.run_id, "failed", answered=job.kind == "verify", refuted_from=None)
    if job.state in ("done", "failed"):
        raise Conflict(f"{named} {job.id} is over already: it is {job.state}")
    if job.kind == "train":
        raise Conflict(
            f"{named} {job.id} is at work, by worker {job.worker}; stop its run {job.run_id} instead"
        )
    if jobs.ask_to_end(tx, job.id, author):
        _tell(tx, "job.cancelled", job.run_id, now, author, job.id)
    return None


def end_unclaimed(tx: Transaction, job: Any, now: float) -> None:
    """Fail a verification that no worker took in time, or that lost its worker: the signals decide."""
    before, why = now - looks.UNCLAIMED_S, looks.abandoned(job.state) or ""
    if jobs.end_unclaimed(tx, job, before, now, why):
        _tell(tx, "job.ended", job.run_id, now)


def _tell(
    tx: Transaction, name: str, run_id: str, now: float, by: str = "", target: str | None = None
) -> None:
    """Record the event on the run's page; a training that begins has none until its trainer announces it."""
    there = runs.get(tx, run_id) is not None
    if there or by:
        record(tx, name, run_id if there else None, now, by=by, target=target)


def point_best(tx: Transaction, run_id: str, now: float, comparison: Json | None) -> None:
    """Point `best` at what the comparison found best; the base model is no checkpoint."""
    best = (comparison or {}).get("best")
    step = best.get("step") if isinstance(best, dict) else None
    for one in usable_checkpoints(tx, run_id):
        if one.step == step:
            reason = str((comparison or {}).get("reason", "best on the selection set"))
            move_alias(tx, run_id, now, "best", one, reason)


def _tell_ended(
    tx: Transaction, job: Any, now: float, error: str | None, comparison: Json | None
) -> None:
    """Tell the webhooks that an evaluation is over: done without an error, else failed."""
    if job.kind != "evaluate":
        return
    told: Json = {"job_id": job.id}
    if error is not None:
        told["error"] = error[:500]
    elif comparison:
        best = None if job.payload.get("named") else comparison["best"]
        told |= {"best": best, "reason": comparison["reason"]}
    name = "evaluation.done" if error is None else "evaluation.failed"
    record(tx, name, job.run_id, now, told=told, key=job.id)
