"""Synthetic runs for the detector's tests: seeded, small, each with one story."""

from collections.abc import Sequence

import numpy as np

from monitor.detector import Detector, RunShape, Sample, Verdict
from monitor.detector.signal.history import Array

SHAPE = RunShape(completions_per_point=48, completion_limit_tokens=1000)


def noisy_share(level: Array, seed: int, completions: int = 48) -> Array:
    """Return shares of `completions` draws with the given probability per step."""
    return np.random.default_rng(seed).binomial(completions, np.clip(level, 0, 1)) / completions


def noisy_factor(level: Array, seed: int, noise: float) -> Array:
    """Return positive values around `level` with relative noise."""
    return level * np.exp(np.random.default_rng(seed).normal(0, noise, len(level)))


def learning(steps: int, low: float = 0.3, high: float = 0.93, at: float = 40.0) -> Array:
    """Return a logistic rise."""
    return low + (high - low) / (1 + np.exp(-(np.arange(steps) - at) / 8))


def ramp(steps: int, start: float, end: float) -> Array:
    """Return 0 before `start`, 1 after `end`, linear between."""
    return np.clip((np.arange(steps) - start) / (end - start), 0, 1)


def samples(**metrics: Array) -> list[Sample]:
    """Return samples of steps 1.. from arrays (NaN = not measured)."""
    count = len(next(iter(metrics.values())))
    return [
        Sample(i + 1, {name: float(v[i]) for name, v in metrics.items() if v[i] == v[i]})
        for i in range(count)
    ]


def healthy(steps: int = 400, seed: int = 0) -> dict[str, Array]:
    """Return a run that learns its format, shortens, improves, and stays."""
    return {
        "format_reward": noisy_share(learning(steps), seed),
        "completion_length": noisy_factor(600 - 200 * ramp(steps, 20, 120), seed + 1, 0.06),
        "accuracy_reward": noisy_share(0.3 + 0.2 * ramp(steps, 30, 300), seed + 2),
        "entropy": noisy_factor(0.3 - 0.1 * ramp(steps, 30, 200), seed + 3, 0.06),
    }


def with_transition(steps: int = 400, at: int = 200, seed: int = 0) -> dict[str, Array]:
    """Return the healthy run, but from `at` format and accuracy fall, length and entropy rise."""
    bad = ramp(steps, at, at + 60)
    return {
        "format_reward": noisy_share(learning(steps) - 0.25 * bad, seed),
        "completion_length": noisy_factor(
            600 - 200 * ramp(steps, 20, 120) + 150 * bad, seed + 1, 0.06
        ),
        "accuracy_reward": noisy_share(0.3 + 0.2 * ramp(steps, 30, 150) - 0.3 * bad, seed + 2),
        "entropy": noisy_factor((0.3 - 0.1 * ramp(steps, 30, 150)) * (1 + bad), seed + 3, 0.06),
    }


def fold(run: Sequence[Sample], shape: RunShape = SHAPE, preset: str = "default") -> list[Verdict]:
    """Return the verdict after every sample."""
    detector = Detector(shape, preset)
    return [detector.update(sample) for sample in run]


def stop_of(verdicts: Sequence[Verdict]) -> Verdict | None:
    """Return the first verdict with a confirmed transition."""
    confirmed = (v for v in verdicts if v.transition and v.transition.state == "confirmed")
    return next(confirmed, None)


def watched(verdicts: Sequence[Verdict]) -> bool:
    """Return whether a transition was reported, confirmed or not."""
    return any(v.transition for v in verdicts)
