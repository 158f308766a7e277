"""What a baseline is: it reads a run point by point, and its evidence is kept at every new height."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from benchmarks.detector.cases import Case, Outcome

WARM = 30  # points before any baseline may speak
Said = tuple[float, int]  # evidence now, index of the last point before the change


LOGGED = ("simulated", "real", "tiny", "zoo")  # grounds that log more than format and length


class Method(Protocol):
    """One method on one run: goodness in [0, 1] and stabilised values of each metric, point by point."""

    def update(self, good: np.ndarray, stable: np.ndarray) -> Said:
        """Take the next point; return the evidence and the dated index."""


@dataclass(frozen=True)
class Course:
    """The points at which a method's evidence was greater than ever before: enough for any threshold.

    `records` holds (index, evidence, dated index); `kept` is the index of the checkpoint that a method
    keeps of a run it never stops (None: the last).
    """

    records: tuple[tuple[int, float, int], ...]
    seconds: float
    points: int
    kept: int | None = None

    @property
    def top(self) -> float:
        return self.records[-1][1] if self.records else 0.0


@dataclass(frozen=True)
class Baseline:
    """A method, the threshold people use, and how it follows a run.

    `calibrated`: its threshold is also set on null runs of the old generator (format and length), which
    rules that need other metrics cannot be. `grounds`: where it can be used, empty for everywhere.
    """

    name: str
    course: Callable[[Case], Course]
    default: float
    default_words: str
    calibrated: bool = True
    grounds: tuple[str, ...] = ()


def online(make: Callable[[], Method]) -> Callable[[Case], Course]:
    """Return how a method of this file's protocol follows a case."""

    def course(case: Case) -> Course:
        return follow(make, *columns(case))

    return course


def follow(make: Callable[[], Method], good: np.ndarray, stable: np.ndarray) -> Course:
    """Run a method over a whole run."""
    method, begin = make(), time.process_time()
    said = [method.update(good[i], stable[i]) for i in range(len(good))]
    return Course(heights(said), time.process_time() - begin, len(good))


def heights(said: Sequence[Said]) -> tuple[tuple[int, float, int], ...]:
    """Return the records of a whole run's evidence: every point at which it was greater than before."""
    records, top = [], 0.0
    for i, (score, dated) in enumerate(said):
        if score > top:
            top = score
            records.append((i, score, max(dated, 0)))
    return tuple(records)


def outcome(case: Case, course: Course, threshold: float) -> Outcome:
    """Return what the method does at a threshold."""
    per_point = course.seconds / max(course.points, 1)
    for index, score, dated in course.records:
        if score >= threshold:
            stop, step = case.points[index][0], case.points[dated][0]
            return Outcome(stop, step, step, step, step, None, index + 1, per_point * (index + 1))
    safe = None if course.kept is None else case.points[course.kept][0]
    return Outcome(safe=safe, points=course.points, seconds=course.seconds)


def calibrated(courses: Sequence[Course]) -> float:
    """Return the least threshold that stops at most 1 % of the calibration nulls."""
    tops = sorted(course.top for course in courses)
    return float(np.nextafter(tops[math.ceil(0.99 * len(tops)) - 1], np.inf))


def columns(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Return goodness in [0, 1] and variance-stabilised values: format, length, accuracy if logged."""
    format_, length, accuracy = (
        series(case, name) for name in ("format_reward", "completion_length", "accuracy_reward")
    )
    shares = [share(format_, case, "format_reward")]
    if np.isfinite(accuracy).any():
        shares.append(share(accuracy, case, "accuracy_reward"))
    known = length[np.isfinite(length)]
    first = known[0] if len(known) else 1.0
    relative = 1 - np.minimum(length / max(first, 1e-9), 3) / 3
    good = np.column_stack([shares[0], relative, *shares[1:]])
    arc = [np.arcsin(np.sqrt(np.clip(s, 0, 1))) for s in shares]
    return good, np.column_stack([arc[0], -np.log(np.maximum(length, 1e-9)), *arc[1:]])


def series(case: Case, name: str) -> np.ndarray:
    """Return one metric of every point, NaN where it is missing."""
    return np.array([metrics.get(name, np.nan) for _, metrics in case.points], dtype=float)


def share(values: np.ndarray, case: Case, name: str) -> np.ndarray:
    """Return a reward as a share of its range; told, [0, 1] if it stays there, or that seen in the run."""
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    if name in case.rewards:
        low, high = case.rewards[name].low, case.rewards[name].high
    elif low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    return (values - low) / max(high - low, 1e-9)
