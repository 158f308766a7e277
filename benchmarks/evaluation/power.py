"""Power of one comparison: how often a true drop on all six benchmarks is found, by what is compared.

python -m benchmarks.evaluation.power [--repeats 1000] [--seed 1] [--quick]

The drop is one shift of all logits, 2 or 4 points on each benchmark. One-sided 5 %, as in the table that the bars
come from (.47, .91, 1.0 for 2 points with 1, 4, 16 samples; .92, 1.0, 1.0 for 4 points), and two-sided 5 % as in a
comparison with one row. `planned`: the power that `detectable_difference` tells beforehand for that drop.
"""

import itertools

import numpy as np
from scipy.stats import norm

from benchmarks.evaluation.draws import SIX, arguments, chances, markdown, samples, shifted
from cusp.statistics import (
    Scores,
    detectable_difference,
    paired_difference,
    pass_at_1,
)

BARS = {(2, 1): 0.47, (2, 4): 0.91, (2, 16): 1.0, (4, 1): 0.92, (4, 4): 1.0, (4, 16): 1.0}
WAYS = ("AIME24 alone", "MATH500 alone", "intervals do not overlap", "all problems, paired")


def found(rng: np.random.Generator, drop: float, k: int) -> tuple[dict[str, bool], bool]:
    """Return which way finds the drop at one-sided 5 %, and whether the paired one does at two-sided 5 %."""
    before: dict[str, Scores] = {}
    after: dict[str, Scores] = {}
    for one in SIX:
        given = chances(rng, one.rate, one.problems)
        before[one.name] = samples(rng, given, k)
        after[one.name] = samples(rng, shifted(given, drop), k)

    def single(names: list[str]) -> tuple[bool, bool]:
        one = paired_difference({n: after[n] for n in names}, {n: before[n] for n in names})
        return one.value < 0 and one.p_value <= 0.10, one.value < 0 and one.p_value <= 0.05

    apart = [
        pass_at_1(np.concatenate([scores[one.name] for one in SIX])) for scores in (after, before)
    ]
    every, two_sided = single([one.name for one in SIX])
    ways = (single(["aime24"])[0], single(["math500"])[0], apart[0].high < apart[1].low, every)
    return dict(zip(WAYS, ways, strict=True)), two_sided


def planned(drop: float, k: int) -> float:
    """Return the power told before: for equal chances up to the shift, by the mean rate."""
    problems = sum(one.problems for one in SIX)
    # within each benchmark the variance is half of p (1 - p), as a + b = 1
    rate = sum(one.problems * one.rate * (1 - one.rate) for one in SIX) / problems
    p = 0.5 - np.sqrt(0.25 - rate)
    told = detectable_difference(problems, k, pass_at_1=float(p), correlation=1.0)
    z = (norm.ppf(0.975) + norm.ppf(0.8)) * drop / 100 / told
    return float(norm.cdf(z - norm.ppf(0.975)))


def main() -> None:
    """Print the table and whether the bars are met."""
    given = arguments(str(__doc__), 1000, 100)
    rng, rows, missed = np.random.default_rng(given.seed), [], []
    for drop, k in itertools.product((0, 2, 4), (1, 4, 16)):
        outcomes = [found(rng, drop, k) for _ in range(given.repeats)]
        shares = [float(np.mean([ways[way] for ways, _ in outcomes])) for way in WAYS]
        both = float(np.mean([two_sided for _, two_sided in outcomes]))
        told = f"{planned(drop, k):.2f}" if drop else "–"
        rows.append([str(drop), str(k), *(f"{share:.3f}" for share in shares), f"{both:.3f}", told])
        bar = BARS.get((drop, k))
        error = 2 * np.sqrt(max(bar * (1 - bar), 0.005) / given.repeats) if bar else 0.0
        if bar and shares[-1] < bar - error:
            missed.append(f"{drop} points, k = {k}: {shares[-1]:.3f} (bar {bar})")
    print(f"{given.repeats} draws, seed {given.seed}.\n")
    head = ("drop", "k", *WAYS, "two-sided", "planned")
    print(markdown(head, rows))
    print(
        "\nMISSED: " + "; ".join(missed) if missed else "\nmet: the power bars, within two errors"
    )


if __name__ == "__main__":
    main()
