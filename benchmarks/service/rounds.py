"""Rounds on a machine that others use, too: the command line, interleaving, medians and spreads."""

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.peers.peers import HERE

Json = dict[str, Any]


def parser_of(about: str) -> argparse.ArgumentParser:
    """Return what every benchmark's command line has: `quick`, `json`."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    return parser


def asked(about: str, known: Sequence[str] = (), rounds: int = 5) -> argparse.Namespace:
    """Return what the command line says: `quick`, `rounds` (2 when quick), `names` (Cusp first), `json`.

    `about` is the file's docstring, `known` are the systems it compares.
    """
    parser = parser_of(about)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--only", default=",".join(known), help="systems to compare, by comma")
    given = parser.parse_args()
    given.rounds = 2 if given.quick else given.rounds
    given.names = ["cusp", *(name for name in given.only.split(",") if name not in ("cusp", ""))]
    return given


def keep(path: Path | None, **content: object) -> None:
    """Write what was measured as JSON, if a path was given."""
    if path:
        path.write_text(json.dumps({**content, "on": machine()}, indent=1))


def say(text: str) -> None:
    """Print progress."""
    print(text, file=sys.stderr, flush=True)


def interleaved(names: Sequence[str], rounds: int, what: str = "") -> Iterator[str]:
    """Yield every name once a round, in another order each time."""
    rng = Random(0)
    for number in range(1, rounds + 1):
        for name in rng.sample(list(names), len(names)):
            say(f"{what}round {number} of {rounds}: {name}")
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
