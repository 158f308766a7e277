"""Rounds on a machine that others use, too: interleaved, with medians and spreads; and their tables."""

import datetime
import os
import platform
import statistics
import subprocess
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

from peers import HERE

Json = dict[str, Any]


def interleaved(names: Sequence[str], rounds: int, say: Callable[[str], None]) -> Iterator[str]:
    """Yield every name once a round, in another order each time."""
    rng = Random(0)
    for number in range(1, rounds + 1):
        for name in rng.sample(list(names), len(names)):
            say(f"round {number} of {rounds}: {name}")
            yield name


def median(values: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(values)


def spread(values: Sequence[float], form: str = "{:,.0f}") -> str:
    """Return the median with the least and the greatest value."""
    low, middle, high = min(values), statistics.median(values), max(values)
    if len(values) == 1:
        return form.format(middle)
    return f"{form.format(middle)} ({form.format(low)}-{form.format(high)})"


def ratios(ours: Sequence[float], theirs: Sequence[float], form: str = "{:.2f}x") -> str:
    """Return how many times greater ours is, round by round."""
    return spread([a / b for a, b in zip(ours, theirs, strict=True)], form)


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which that share lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def machine() -> str:
    """Return on what, when and at which commit this is measured."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=HERE, capture_output=True, text=True
    ).stdout.strip()
    dirty = subprocess.run(
        ["git", "status", "--porcelain", "--untracked-files=no", "../cusp", "../monitor"],
        cwd=HERE,
        capture_output=True,
        text=True,
    ).stdout.strip()
    load = os.getloadavg()[0]
    return (
        f"{datetime.date.today()}, commit {commit}{' with changes' if dirty else ''},"
        f" {os.cpu_count()} shared CPU cores (load {load:.1f}), Python {platform.python_version()}"
    )


def verdict(met: bool, sentence: str) -> str:
    """Return one bar as a line."""
    return f"- {'met' if met else 'MISSED'}: {sentence}"
