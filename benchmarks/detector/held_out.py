"""Error and power of the sequential test of verification, on simulated problems.

    python -m benchmarks.detector.held_out [--repeats N] [--seed N]

Problems have latent difficulties (logit-normal, sd 1.6: half of them are nearly always right or wrong), the weights of
now and three earlier checkpoints (pass@1 .65, .62, .58) answer each once or twice. One look scores 32, 64, 128 problems
until it is decided. The comparison is alpha spending: exact McNemar tests at each stage, the error shared out evenly
among stages and checkpoints (Bonferroni).
"""

import argparse
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
from scipy.stats import binom, norm

from cusp.verification.sequential import (
    BETA,
    MARGIN,
    MOST_LOOKS,
    STAGES,
    alpha_of_look,
    sequential_test,
)
from monitor.policy.verify import ALPHA

EARLIER = (0.65, 0.62, 0.58)
NOW = (0.72, 0.65, 0.60, 0.55, 0.50, 0.45, 0.40)
SPREAD = 1.6  # by judgement: MATH-500 of a 1.5B model has about such a U-shape
LOOKS = MOST_LOOKS

Scores = np.ndarray[Any, np.dtype[np.float64]]
Test = Callable[[Scores, Sequence[Scores], float], str]


def answers(rng: np.random.Generator, difficulty: Scores, mean: float, samples: int) -> Scores:
    """Return the share of right samples of each problem for weights of this mean score."""
    skill = float(np.interp(mean, *_means()))
    return rng.binomial(samples, _logistic(skill + difficulty)) / samples


def betting(now: Scores, earlier: Sequence[Scores], alpha: float) -> str:
    """Return the outcome of the product's test."""
    given = {step: list(map(float, scores)) for step, scores in enumerate(earlier)}
    return sequential_test(list(map(float, now)), given, alpha=alpha).outcome


def spending(now: Scores, earlier: Sequence[Scores], alpha: float) -> str:
    """Return the outcome of alpha spending at one stage."""
    shares = len(STAGES) * len(earlier)
    up = [int(np.sum(scores > now)) for scores in earlier]
    down = [int(np.sum(scores < now)) for scores in earlier]
    if min(binom.sf(u - 1, u + d, 0.5) for u, d in zip(up, down, strict=True)) < alpha / shares:
        return "worse"
    z = norm.ppf(1 - BETA / len(STAGES))
    lows = [np.mean(now - s) - z * np.std(now - s) / np.sqrt(len(now)) for s in earlier]
    return "not_worse" if min(lows) > -MARGIN else "undecided"


def look(test: Test, now: Scores, earlier: Sequence[Scores], alpha: float) -> tuple[str, int]:
    """Return the outcome of a look and how many problems it took."""
    for stage in STAGES:
        outcome = test(now[:stage], [scores[:stage] for scores in earlier], alpha)
        if outcome != "undecided":
            return outcome, stage
    return "undecided", STAGES[-1]


def power(test: Test, seed: int, repeats: int, samples: int) -> list[tuple[float, float, float]]:
    """Return for each mean of NOW how often `worse`, how often `not_worse`, and the mean number of problems."""
    rng, rows = np.random.default_rng(seed), []
    for mean in NOW:
        found = []
        for _ in range(repeats):
            difficulty = rng.normal(0, SPREAD, STAGES[-1])
            now, *earlier = (answers(rng, difficulty, m, samples) for m in (mean, *EARLIER))
            found.append(look(test, now, earlier, alpha_of_look(1, ALPHA)))
        share = [
            np.mean([one == outcome for one, _ in found]) for outcome in ("worse", "not_worse")
        ]
        rows.append((float(share[0]), float(share[1]), float(np.mean([n for _, n in found]))))
    return rows


def over_looks(mean: float, seed: int, repeats: int, samples: int) -> list[float]:
    """Return the share of runs found `worse` by each look; problems and earlier scores are the same in all."""
    rng, hits = np.random.default_rng(seed), np.zeros(LOOKS)
    for _ in range(repeats):
        difficulty = rng.normal(0, SPREAD, STAGES[-1])
        earlier = [answers(rng, difficulty, m, samples) for m in EARLIER]
        for number in range(LOOKS):
            now = answers(rng, difficulty, mean, samples)
            if look(betting, now, earlier, alpha_of_look(number + 1, ALPHA))[0] == "worse":
                hits[number:] += 1
                break
    return [float(one) for one in hits / repeats]


@cache
def _means() -> tuple[Scores, Scores]:
    """Return mean scores over all difficulties, and the skills that have them."""
    skills, draws = np.linspace(-8, 8, 801), norm.ppf(np.linspace(0.001, 0.999, 999)) * SPREAD
    return np.array([np.mean(_logistic(skill + draws)) for skill in skills]), skills


def _logistic(value: Scores) -> Scores:
    result: Scores = 1 / (1 + np.exp(-value))
    return result


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="Error and power of the test of verification.")
    parser.add_argument("--repeats", type=int, default=400)
    parser.add_argument("--seed", type=int, default=90_000)
    given = parser.parse_args()
    tests: dict[str, Test] = {"betting": betting, "alpha spending": spending}
    print("one look: worse / not worse / mean number of problems, by the pass@1 of now")
    print(f"{'':24}" + "".join(f"{mean:>16.2f}" for mean in NOW))
    for samples in (1, 2):
        for name, test in tests.items():
            rows = power(test, given.seed, given.repeats, samples)
            cells = "".join(f"{w:>7.3f}/{n:.2f}/{at:>3.0f}" for w, n, at in rows)
            print(f"{name + f', {samples} a problem':24}{cells}")
    print(f"\nfound worse by look 1 to {LOOKS}, one sample a problem")
    for mean in (0.65, 0.62, 0.55, 0.50, 0.45):
        found = over_looks(mean, given.seed + 1, given.repeats, 1)
        print(f"{mean:>6.2f}  " + " ".join(f"{share:.3f}" for share in found))


if __name__ == "__main__":
    main()
