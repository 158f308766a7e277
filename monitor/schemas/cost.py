"""The `Cost` of docs/reference/rest.md, made from a run's rows. Used by REST and pages alike."""

from collections.abc import Sequence
from typing import Any

from monitor.runs import costs, durations
from monitor.runs.costs import Training, Work
from monitor.schemas.base import Shape
from monitor.schemas.run_data import RunData
from monitor.store.points import Series

TOKENS, LENGTH = "tokens", "completion_length"  # canonical names (`cusp.metrics`)
_DIGITS = 6


class Spent(Shape):
    gpu_hours: float | None
    usd: float | None
    tokens: float | None
    flops: float | None


class Cost(Shape):
    gpu_count: int
    gpu_hourly_usd: float | None
    flops_per_token: float | None
    training: Spent
    evaluation: Spent
    verification: Spent
    total: Spent
    per_step: Spent | None
    at_transition: Spent | None
    saved: Spent | None


def cost(data: RunData, now: float) -> dict[str, Any]:
    """Return the run's `Cost` at a time (UTC seconds)."""
    run, series = data.run, data.some(TOKENS, LENGTH)
    lengths = series[LENGTH].values if LENGTH in series else []
    found = costs.costs(
        training_of(run, data.attempts, series.get(TOKENS)),
        _evaluations(data, now),
        _verifications(data, lengths[-1] if lengths else None),
        transition=_transition(run),
        stopped_of=stopped_of(run),
    )
    return {name: _rounded(value) for name, value in found.items()}


def training_of(run: Any, attempts: Sequence[Any], tokens: Series | None = None) -> Training:
    """Return a run's training; without `tokens` their number and operations stay unknown."""
    metadata = run.metadata
    return Training(
        gpus=metadata.get("gpu_count") or 0,
        usd_an_hour=metadata.get("gpu_hourly_usd"),
        parameters=metadata.get("model_parameters"),
        flops_per_token=metadata.get("flops_per_token"),
        seconds=durations.elapsed_s(attempts),
        step=run.last_step,
        tokens=_pairs(tokens) if tokens else (),
    )


def _pairs(one: Series) -> list[tuple[int, float]]:
    return list(zip(one.steps, one.values, strict=True))


def stopped_of(run: Any) -> int | None:
    """Return the steps that a stopped run was to have, None of another one."""
    steps: int | None = run.metadata.get("max_steps") if run.status == "stopped" else None
    return steps


def _evaluations(data: RunData, now: float) -> list[Work]:
    """Return a work for each evaluation job that began, with the tokens of the scores it brought.

    One that is not over lasts until now, and one whose worker is gone until the end of its lease.
    """
    tokens: dict[str, float] = {}
    for row in data.evaluations:
        if row.job_id is None:  # made elsewhere: what it cost is not known here
            continue
        brought = float(row.scores.get("mean_tokens", 0.0)) * row.scores.get("n_samples", 0)
        tokens[row.job_id] = tokens.get(row.job_id, 0.0) + brought
    begun = [row for row in data.jobs if row.kind == "evaluate" and row.started_at is not None]
    return [
        Work(max(0.0, _ended(row, now) - row.started_at), tokens.get(row.id, 0.0)) for row in begun
    ]


def _ended(job: Any, now: float) -> float:
    """Return when its worker left it, as far as is known: a lease that ran out ended the work."""
    ended = now if job.finished_at is None else job.finished_at
    return float(ended if job.lease_until is None else min(ended, job.lease_until))


def _verifications(data: RunData, length: float | None) -> list[Work]:
    """Return a work for each answered verification; its tokens from the completion length of now."""
    return [
        Work(
            row.seconds or 0.0,
            None if length is None else (row.completions or 0) * length,
            within=row.job_id is None,
        )
        for row in data.verifications
        if row.outcome is not None
    ]


def _transition(run: Any) -> int | None:
    found = (run.verdict or {}).get("transition")
    return found["step"] if found and found["state"] in ("provisional", "confirmed") else None


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    if isinstance(value, float) and value < 1e6:  # operations stay as they are
        return round(value, _DIGITS)
    return value
