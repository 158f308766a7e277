"""How often the 95 % intervals cover the truth, for both questions; how often equal checkpoints are called different.

python -m benchmarks.evaluation.coverage [--repeats 1000] [--seed 1] [--quick]

Chances of problems are Beta with a + b of .5, 1 and 4 and means of .15, .3, .5 and .85. The truth for problems like
these is the Beta's mean, for this fixed set the mean of the chances drawn. Of two checkpoints either the chances are
equal, or each has logits of its own about them (standard deviation 1): then they are alike over all problems only.
A `better` or `worse` is by the p-value of one comparison at .05.
"""

import itertools

import numpy as np
from scipy.special import expit

from benchmarks.evaluation.draws import arguments, chances, markdown, samples
from cusp.statistics import Scores, paired_difference, pass_at_1

PROBLEMS, SAMPLES = (30, 40, 100, 300), (1, 2, 4, 16)
RATES, CONCENTRATIONS = (0.15, 0.3, 0.5, 0.85), (0.5, 1.0, 4.0)
SETTINGS = tuple(itertools.product(RATES, CONCENTRATIONS))


def proportion(rng: np.random.Generator, n: int, k: int, repeats: int) -> list[tuple[float, float]]:
    """Return the coverage of both intervals of pass@1 in each setting."""
    found = []
    for rate, concentration in SETTINGS:
        hits = np.zeros(2)
        for _ in range(repeats):
            given = chances(rng, rate, n, concentration)
            one = pass_at_1(samples(rng, given, k))
            hits += (
                one.low <= rate <= one.high,
                one.fixed_low <= given.mean() <= one.fixed_high,
            )
        found.append((hits[0] / repeats, hits[1] / repeats))
    return found


def difference(
    rng: np.random.Generator, n: int, k: int, repeats: int, own: bool
) -> list[tuple[float, float, float, float]]:
    """Return in each setting the coverage of both intervals, and how often it is called better and worse."""
    found = []
    for rate, concentration in SETTINGS:
        hits = np.zeros(4)
        for _ in range(repeats):
            first, second = pair(rng, rate, n, concentration, own)
            one = paired_difference({"t": samples(rng, first, k)}, {"t": samples(rng, second, k)})
            verdict = one.verdict(one.p_value)
            truth = float((first - second).mean())
            hits += (
                one.low <= 0 <= one.high,
                one.fixed_low <= truth <= one.fixed_high,
                verdict == "better",
                verdict == "worse",
            )
        found.append(tuple(hits / repeats))
    return found


def pair(
    rng: np.random.Generator, rate: float, n: int, concentration: float, own: bool
) -> tuple[Scores, Scores]:
    """Return the chances of two checkpoints, equal or alike only over all problems."""
    given = chances(rng, rate, n, concentration)
    if not own:
        return given, given
    logits = np.log(np.clip(given, 1e-6, 1) / np.clip(1 - given, 1e-6, 1))
    first, second = (expit(logits + rng.normal(0, 1, n)) for _ in range(2))
    return np.asarray(first), np.asarray(second)


def main() -> None:
    """Print both tables."""
    given = arguments(str(__doc__), 1000, 150)
    rng, rows, pairs = np.random.default_rng(given.seed), [], []
    for n, k in itertools.product(PROBLEMS, SAMPLES):
        both = np.array(proportion(rng, n, k, given.repeats))
        rows.append([str(n), str(k), *(span(both[:, place]) for place in range(2))])
    print(f"{len(SETTINGS)} settings, {given.repeats} draws each, seed {given.seed}.\n")
    head = ("n", "k", "problems like these", "this fixed set")
    print(markdown(head, rows) + "\n", flush=True)
    for n, k, own in itertools.product(PROBLEMS, SAMPLES, (False, True)):
        four = np.array(difference(rng, n, k, given.repeats, own))
        cells = [span(four[:, place]) for place in range(4)]
        pairs.append([str(n), str(k), "alike over all problems" if own else "equal", *cells])
    print(
        markdown(("n", "k", "two checkpoints", *head[2:], "called better", "called worse"), pairs)
    )


def span(values: Scores) -> str:
    """Return mean, least and greatest of the settings as percentages."""
    return f"{values.mean():.1%} ({values.min():.1%} to {values.max():.1%})"


if __name__ == "__main__":
    main()
