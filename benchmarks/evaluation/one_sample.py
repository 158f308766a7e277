"""What one sample a problem tells of this fixed set, with other checkpoints scored on the same problems.

python -m benchmarks.evaluation.one_sample [--repeats 400] [--seed 1] [--quick]

Eight checkpoints, one sample a problem each, n = 100. How often does an interval for the first one's mean chance on
this fixed set cover it? Rules, all mid-P intervals with an effective size n / (1 - s), s the share of the variance of a
sample that is taken to lie between problems:

- *bound*: s = 0, what Cusp gives and calls a bound;
- *covariance*: s is the mean correlation of the first one's outcomes with the others';
- *Cauchy-Schwarz*: s is its square, as cov(p, q)² is at most var(p) var(q), and var(q) at most that of an outcome;
- *two samples*: what Cusp gives for two samples a problem of the first one, the others not used.

Worlds: *alike*, the same chances; *own logits*, each with logits of its own about them (standard deviation 1); *same
noise*, the same chances and seeds, as in Cusp's comparisons; *unlike*, the first one's chances lie halfway to their
mean and the others are 0 or 1 by them, as after a training that sharpens; *replaced*, the chances of *alike*, but each
of the first one's replaced by 0 or 1, drawn with that chance: nothing that is seen tells this from *alike*, and the
first one's score has no error of sampling.
"""

from collections.abc import Callable

import numpy as np
from scipy.special import expit, logit

from benchmarks.evaluation.draws import arguments, chances, markdown
from cusp.statistics import Scores, pass_at_1
from cusp.statistics.proportion import mid_p

PROBLEMS, CHECKPOINTS = 100, 8
SETTINGS = tuple((rate, total) for rate in (0.3, 0.5, 0.85) for total in (0.5, 1.0, 4.0))
RULES = ("bound", "covariance", "Cauchy-Schwarz", "two samples")


def alike(rng: np.random.Generator, given: Scores) -> Scores:
    """Return the same chances for all."""
    return np.repeat(given[:, None], CHECKPOINTS, axis=1)


def own_logits(rng: np.random.Generator, given: Scores) -> Scores:
    """Return chances about the given ones."""
    logits = logit(np.clip(given, 1e-6, 1 - 1e-6))
    return np.asarray(expit(logits[:, None] + rng.normal(0, 1, (len(given), CHECKPOINTS))))


def unlike(rng: np.random.Generator, given: Scores) -> Scores:
    """Return chances of the first half as far apart, the others 0 or 1 by them."""
    first = (given + given.mean()) / 2
    others = (rng.random(len(given)) < first).astype(float)
    return np.column_stack([first, *[others] * (CHECKPOINTS - 1)])


def replaced(rng: np.random.Generator, given: Scores) -> Scores:
    """Return the same chances for all but the first, which has 0 or 1 by them."""
    every = alike(rng, given)
    every[:, 0] = rng.random(len(given)) < given
    return every


WORLDS: dict[str, Callable[[np.random.Generator, Scores], Scores]] = {
    "alike": alike,
    "own logits": own_logits,
    "same noise": alike,
    "unlike": unlike,
    "replaced": replaced,
}


def shares(outcomes: Scores) -> tuple[float, float, float]:
    """Return what each rule takes for the share of the variance between problems, from one sample of each (n, m)."""
    spread = outcomes.std(axis=0)
    if not spread[0] or not spread[1:].any():
        return 0.0, 0.0, 0.0
    others = outcomes[:, 1:][:, spread[1:] > 0]
    found = np.corrcoef(outcomes[:, 0], others, rowvar=False)[0, 1:]
    between = float(np.clip(found.mean().round(9), 0.0, 1.0))
    return 0.0, between, between**2


def covered(
    rng: np.random.Generator, world: str, rate: float, total: float, repeats: int
) -> Scores:
    """Return how often each rule's interval covers the first checkpoint's mean chance."""
    hits = np.zeros(len(RULES))
    for _ in range(repeats):
        every = WORLDS[world](rng, chances(rng, rate, PROBLEMS, total))
        noise = rng.random((PROBLEMS, 1 if world == "same noise" else CHECKPOINTS))
        outcomes = (noise < every).astype(float)
        value, truth = float(outcomes[:, 0].mean()), float(every[:, 0].mean())
        for place, share in enumerate(shares(outcomes)):
            low, high = (value, value) if share >= 1 else mid_p(value, PROBLEMS / (1 - share))
            hits[place] += low - 1e-9 <= truth <= high + 1e-9
        twice = (rng.random((PROBLEMS, 2)) < every[:, :1]).astype(float)
        two = pass_at_1(twice)
        hits[-1] += two.fixed_low <= truth <= two.fixed_high
    return hits / repeats


def main() -> None:
    """Print the coverage of each rule in each world: mean, least and greatest of the settings."""
    given = arguments(str(__doc__), 400, 60)
    rng, rows = np.random.default_rng(given.seed), []
    for world in WORLDS:
        found = np.array([covered(rng, world, *each, given.repeats) for each in SETTINGS])
        cells = [f"{one.mean():.1%} ({one.min():.1%} to {one.max():.1%})" for one in found.T]
        rows.append([world, *cells])
    error = (0.95 * 0.05 / given.repeats) ** 0.5
    print(
        f"n = {PROBLEMS}, {CHECKPOINTS} checkpoints, {len(SETTINGS)} settings (means .3, .5, .85; a + b .5, 1, 4),"
        f" {given.repeats} draws each (standard error of a setting {error:.1%}), seed {given.seed}.\n"
    )
    print(markdown(("world", *RULES), rows))


if __name__ == "__main__":
    main()
