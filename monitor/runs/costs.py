"""What a run cost: GPU hours, US dollars and floating-point operations of training, evaluation and verification. Pure.

Dollars are the hours of the GPUs times their price; between attempts nothing was rented. A training has all its GPUs, a
worker's job one. Operations are those of `cusp.protocol.flops`; a value that is not known is None, never 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from cusp.protocol.flops import generation_flops

HOUR_S = 3_600.0


class Spent(NamedTuple):
    """GPU hours, US dollars, tokens and floating-point operations; None where not known."""

    gpu_hours: float | None
    usd: float | None
    tokens: float | None
    flops: float | None

    def times(self, factor: float) -> "Spent":
        """Return the same of so many times the work."""
        return Spent(*(None if value is None else value * factor for value in self))


class Work(NamedTuple):
    """One evaluation or verification: its seconds, the tokens it generated, whether within the training's time."""

    seconds: float
    tokens: float | None
    within: bool = False


@dataclass(frozen=True)
class Training:
    """A run's training: `tokens` are the last ones logged, by step, cumulative; `step` is the last one."""

    gpus: int
    usd_an_hour: float | None
    parameters: int | None
    flops_per_token: float | None
    seconds: float
    step: int | None
    tokens: Sequence[tuple[int, float]] = ()

    def until(self, step: int) -> Spent:
        """Return what the training had cost at a step: hours in proportion, tokens as logged by then.

        One without a step so far has cost all its hours.
        """
        share = min(1.0, step / self.step) if self.step else 1.0
        hours = self.seconds / HOUR_S * self.gpus * share if self.gpus else None
        logged = [value for at, value in self.tokens if at <= step]
        tokens = logged[-1] if logged else None
        flops = None
        if tokens is not None and self.flops_per_token is not None:
            flops = tokens * self.flops_per_token
        return Spent(hours, self._usd(hours), tokens, flops)

    def spent(self) -> Spent:
        """Return what the training has cost."""
        return self.until(self.step or 0)

    def saved(self, of_steps: int | None) -> Spent | None:
        """Return what a training that was stopped would have cost up to `of_steps`; None where it is not known."""
        if not of_steps or not self.step:
            return None
        return self.spent().times(max(0.0, of_steps / self.step - 1))

    def worked(self, works: Sequence[Work]) -> Spent:
        """Return what evaluations or verifications cost; those within the training had all its GPUs."""
        if not works:
            return Spent(0.0, self._usd(0.0), 0.0, 0.0)
        hours = None
        if self.gpus:
            hours = sum(one.seconds / HOUR_S * (self.gpus if one.within else 1) for one in works)
        known = [one.tokens for one in works if one.tokens is not None]
        tokens = sum(known) if len(known) == len(works) else None
        flops = None
        if tokens is not None and self.parameters:
            flops = tokens * generation_flops(self.parameters)
        return Spent(hours, self._usd(hours), tokens, flops)

    def _usd(self, hours: float | None) -> float | None:
        if hours is None or self.usd_an_hour is None:
            return None
        return hours * self.usd_an_hour


def costs(
    training: Training,
    evaluations: Sequence[Work],
    verifications: Sequence[Work],
    *,
    transition: int | None,
    stopped_of: int | None,
) -> dict[str, Any]:
    """Return the parts of a run's cost, and their sum without what is counted twice.

    `transition` is the step of the transition or None; `stopped_of` the steps that a stopped run was to have.
    """
    trained, saved = training.spent(), training.saved(stopped_of)
    evaluated = training.worked(evaluations)
    verified = training.worked(verifications)
    beside = training.worked([one for one in verifications if not one.within])
    return {
        "gpu_count": training.gpus,
        "gpu_hourly_usd": training.usd_an_hour,
        "flops_per_token": training.flops_per_token,
        "training": trained._asdict(),
        "evaluation": evaluated._asdict(),
        "verification": verified._asdict(),
        "total": _total(trained, evaluated, verified, beside),
        "per_step": trained.times(1 / training.step)._asdict() if training.step else None,
        "at_transition": None if transition is None else training.until(transition)._asdict(),
        "saved": saved and saved._asdict(),
    }


def _total(trained: Spent, evaluated: Spent, verified: Spent, beside: Spent) -> dict[str, Any]:
    """Return the sum; of the verifications' hours those `beside` the training, whose own hold the others."""
    return {
        "gpu_hours": _sum(trained.gpu_hours, evaluated.gpu_hours, beside.gpu_hours),
        "usd": _sum(trained.usd, evaluated.usd, beside.usd),
        "tokens": _sum(trained.tokens, evaluated.tokens, verified.tokens),
        "flops": _sum(trained.flops, evaluated.flops, verified.flops),
    }


def _sum(*parts: float | None) -> float | None:
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None
