"""Simulated checkpoints: chances of problems, samples, the six benchmarks of Tina's tables."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from cusp.statistics import Scores


@dataclass(frozen=True)
class Benchmark:
    """Number of problems, pass@1 of the base model, and samples a problem of the suites `tina` and `sober`."""

    name: str
    problems: int
    rate: float
    tina: int = 1
    sober: int = 16


# pass@1 of DeepSeek-R1-Distill-Qwen-1.5B as trained by Tina (arXiv 2504.15777, tables of its repository)
SIX = (
    Benchmark("aime24", 30, 0.30),
    Benchmark("aime25", 30, 0.22),
    Benchmark("amc23", 40, 0.70),
    Benchmark("math500", 500, 0.84, sober=4),
    Benchmark("gpqa_diamond", 198, 0.35, sober=8),
    Benchmark("minerva", 272, 0.29, sober=4),
)


def chances(
    rng: np.random.Generator, rate: float, problems: int, concentration: float = 1.0
) -> Scores:
    """Return the chance of each problem: Beta with mean `rate` and a + b = `concentration`."""
    return rng.beta(rate * concentration, (1 - rate) * concentration, problems)


def shifted(given: Scores, points: float) -> Scores:
    """Return the chances moved by one shift of all logits so that their mean falls by `points` percentage points."""
    if not points:
        return given
    inner = logit(np.clip(given, 1e-9, 1 - 1e-9))
    wanted, low, high = float(given.mean()) - points / 100, -20.0, 20.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if expit(inner + middle).mean() < wanted else (low, middle)
    return np.asarray(expit(inner + low))


def samples(rng: np.random.Generator, given: Scores, count: int) -> Scores:
    """Return `count` samples of each problem."""
    return (rng.random((len(given), count)) < given[:, None]).astype(float)


def arguments(text: str, repeats: int, quick: int, parts: Sequence[str] = ()) -> argparse.Namespace:
    """Return the command line of a simulation; `only` is one of its `parts`, None for all."""
    parser = argparse.ArgumentParser(description=text.splitlines()[0])
    parser.add_argument("--repeats", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="fewer repeats: minutes")
    parser.add_argument("--only", choices=parts)
    given = parser.parse_args()
    given.repeats = given.repeats or (quick if given.quick else repeats)
    return given


def markdown(head: tuple[str, ...], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
