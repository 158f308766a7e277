"""Taking a run up again: a `train` job, to be done by a worker on the box that has the run's folder."""

from collections.abc import Sequence
from typing import Any

from monitor.actions.promote import usable_checkpoints
from monitor.actions.record import record
from monitor.actions.require import run_or_404
from monitor.database.engine import Transaction
from monitor.errors import Conflict
from monitor.policy import availability
from monitor.policy.decide import Saved
from monitor.schemas.run import status_of
from monitor.store import jobs


def asked_for(
    tx: Transaction, run_id: str, now: float, author: str, *, step: int | None, lost_after_s: float
) -> Any:
    """Queue the job and return it; the one that waits already is returned as it is.

    `step` None means where the run ended. Conflict says why it cannot be.
    """
    run = run_or_404(tx, run_id, locked=True)
    waiting = [job for job in jobs.pending(tx, run.id) if job.kind == "train"]
    if waiting and waiting[0].payload["step"] == step:
        return waiting[0]
    if waiting:
        raise Conflict(f"job {waiting[0].id} is to resume the run already; wait until it has ended")
    if reason := availability.resume_blocked(run, status_of(tx, run, now, lost_after_s), step):
        raise Conflict(reason)
    job = jobs.add(tx, run.id, "train", _payload(tx, run, step), now)
    detail = {"step": step, "job": job.id}
    record(tx, "run.resume_asked", run.id, now, by=author, detail=detail)
    return job


def _payload(tx: Transaction, run: Any, step: int | None) -> dict[str, Any]:
    start = _checkpoint(usable_checkpoints(tx, run.id), step) if step is not None else None
    return {
        "step": step,
        "path": start.path if start else None,
        "sha256": start.sha256 if start else None,
        "processes": max(1, int(run.metadata.get("gpu_count") or 1)),
    }


def _checkpoint(saved: Sequence[Saved], step: int) -> Saved:
    for one in reversed(saved):
        if one.step == step:
            return one
    steps = ", ".join(str(one.step) for one in saved) or "none"
    raise Conflict(f"the run has no whole checkpoint of step {step}; there are {steps}")
