"""What a detector does with each simulated run, a row a run."""

import json
import math
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.detector import scoring
from benchmarks.detector.cases import Case, Outcome
from benchmarks.detector.grpo_simulation import KINDS, Run, make, oracle

Judge = Callable[[Case], Outcome]
AsCase = Callable[[Run, int], Case]  # a run as it is judged, at a logging interval


@dataclass(frozen=True)
class Row:
    """What happened to one run. Steps; `bound` is the oracle's delay. None: never."""

    kind: str
    seed: int
    every: int
    watched: int
    stop: int | None
    early: bool
    suspected: int | None
    looks: int
    delay: float
    stop_delay: float
    bound: float
    points: int
    seconds: float
    completions: int = 0


def judged(work: tuple[str, int, int], judge: Judge, as_case: AsCase = Run.case) -> Row:
    """Return what a detector does with one run: (kind, seed, logging_steps)."""
    name, seed, every = work
    run = make(name, seed)
    case = as_case(run, every)
    outcome = judge(case)
    truth = run.truth
    sight = scoring.suspected_at(case, outcome)
    found = sight if truth is not None else outcome.watch
    positive = truth is not None
    return Row(
        name, seed, every, outcome.points * every, outcome.stop,
        scoring.is_early(case, outcome), found, len(outcome.suspicions),
        max(0, sight - truth) if sight is not None and truth is not None else math.inf,
        max(0.0, scoring.delay(case, outcome)) if positive else math.inf,
        oracle.delay(run, every) if positive else math.nan,
        outcome.points, outcome.seconds, outcome.completions,
    )  # fmt: skip


def all_judged(
    kinds: Iterable[str], base: int, counts: tuple[int, int], every: Sequence[int],
    judge: Judge = scoring.cusp, jobs: int = 1, as_case: AsCase = Run.case,
) -> list[Row]:  # fmt: skip
    """Return the rows of all kinds; `counts` = (seeds of a positive kind, of a healthy one)."""
    work = [
        (name, base + j, k)
        for name in kinds
        for j in range(counts[0] if KINDS[name].group == "positive" else counts[1])
        for k in every
    ]
    if jobs == 1:
        return [judged(one, judge, as_case) for one in work]
    with ProcessPoolExecutor(jobs) as pool:
        return list(pool.map(partial(judged, judge=judge, as_case=as_case), work, chunksize=4))


def read(file: Path) -> list[Row]:
    """Return the rows of an earlier measurement."""
    return [Row(**row) for row in json.loads(file.read_text())]
