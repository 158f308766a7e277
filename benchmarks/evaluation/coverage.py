"""How often the 95 % intervals cover the truth, for both questions; how often equal checkpoints are called different.

python -m benchmarks.evaluation.coverage [--repeats 1000] [--seed 1] [--quick] [--only scores|pairs]

Chances of problems are Beta with a + b of .5, 1 and 4 and means of .15, .3, .5 and .85. The truth for problems like
these is the Beta's mean, for this fixed set the mean of the chances drawn. Of two checkpoints either the chances are
equal, or each has logits of its own about them (standard deviation 1): then they are alike over all problems only.
A `better` or `worse` is by the p-value of one comparison at .05.

Bars: both questions 93 to 97 % from 40 problems on, at least 92 % with 30; with one sample a problem the interval for
this fixed set is a bound (`one_sample.py`), so only the least is asked of it. Called better or worse: at most 5.5 %
each. A share outside is drawn anew (`bars.py`), and exit status 1 tells of one that is outside then, too.
"""

import itertools
import sys
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from scipy.special import expit

from benchmarks.evaluation.bars import Bar, Seen, error, looked_at, told
from benchmarks.evaluation.draws import arguments, chances, markdown, samples
from cusp.statistics import Scores, paired_difference, pass_at_1

PROBLEMS, SAMPLES = (30, 40, 100, 300), (1, 2, 4, 16)
RATES, CONCENTRATIONS = (0.15, 0.3, 0.5, 0.85), (0.5, 1.0, 4.0)
SETTINGS = tuple(itertools.product(RATES, CONCENTRATIONS))
CALLED = Bar(most=0.055)
Shares = Callable[[np.random.Generator, int], Scores]  # generator, draws -> a share of each kind


def proportion(
    n: int, k: int, rate: float, concentration: float, rng: np.random.Generator, repeats: int
) -> Scores:
    """Return the coverage of both intervals of pass@1."""
    hits = np.zeros(2)
    for _ in range(repeats):
        given = chances(rng, rate, n, concentration)
        one = pass_at_1(samples(rng, given, k))
        hits += (
            one.low <= rate <= one.high,
            one.fixed_low <= given.mean() <= one.fixed_high,
        )
    return hits / repeats


def difference(
    n: int,
    k: int,
    own: bool,
    rate: float,
    concentration: float,
    rng: np.random.Generator,
    repeats: int,
) -> Scores:
    """Return the coverage of both intervals, how often it is called better, worse, and either."""
    hits = np.zeros(5)
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
            verdict != "not distinguishable",
        )
    return hits / repeats


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


def bars(n: int, k: int) -> tuple[Bar, Bar]:
    """Return what is asked of the interval for problems like these, and of that for this fixed set."""
    both = Bar(0.92 if n < 40 else 0.93, 1.0 if n < 40 else 0.97)
    return both, Bar(both.least) if k == 1 else both


def table(
    words: str,
    ways: Mapping[str, Shares],
    asked: tuple[Bar, ...],
    rng: np.random.Generator,
    repeats: int,
) -> tuple[list[str], list[Seen]]:
    """Return the cells of one line, the shares of all settings, and what lay outside of its bar."""
    found = np.array([draw(rng, repeats) for draw in ways.values()])
    seen = [
        one
        for setting, (name, draw) in enumerate(ways.items())
        for kind, bar in enumerate(asked)
        for one in looked_at(
            f"{words}, {KINDS[kind]}, {name}",
            bar,
            float(found[setting, kind]),
            repeats,
            partial(_share, draw, rng, kind),
        )
    ]
    return [span(found[:, kind]) for kind in range(found.shape[1])], seen


def _share(draw: Shares, rng: np.random.Generator, kind: int, repeats: int) -> float:
    return float(draw(rng, repeats)[kind])


KINDS = ("problems like these", "this fixed set", "called better", "called worse", "either")


def main() -> int:
    """Print both tables, and what lay outside of its bar; return 1 if something still does."""
    given = arguments(str(__doc__), 1000, 150, ("scores", "pairs"))
    rng, rows, pairs = np.random.default_rng(given.seed), [], []
    seen: list[Seen] = []
    shares = 0
    named = {setting: "mean {:g}, a + b = {:g}".format(*setting) for setting in SETTINGS}
    sizes = list(itertools.product(PROBLEMS, SAMPLES))
    for n, k in sizes if given.only != "pairs" else ():
        ways = {named[each]: partial(proportion, n, k, *each) for each in SETTINGS}
        cells, outside = table(f"pass@1, n = {n}, k = {k}", ways, bars(n, k), rng, given.repeats)
        rows.append([str(n), str(k), *cells])
        seen, shares = seen + outside, shares + 2 * len(SETTINGS)
    most = error(0.95, given.repeats)
    print(
        f"{len(SETTINGS)} settings, {given.repeats} draws each (standard error of a setting {most:.1%}), seed"
        f" {given.seed}.\n"
    )
    if rows:
        print(markdown(("n", "k", *KINDS[:2]), rows) + "\n", flush=True)
    for (n, k), own in itertools.product(sizes if given.only != "scores" else (), (False, True)):
        words = "alike over all problems" if own else "equal"
        both = {named[each]: partial(difference, n, k, own, *each) for each in SETTINGS}
        asked = (*bars(n, k), CALLED, CALLED)
        cells, outside = table(f"{words}, n = {n}, k = {k}", both, asked, rng, given.repeats)
        pairs.append([str(n), str(k), words, *cells])
        seen, shares = seen + outside, shares + len(asked) * len(SETTINGS)
    if pairs:
        print(markdown(("n", "k", "two checkpoints", *KINDS), pairs))
    print("\n" + told(seen, shares))
    return int(any(each.fault for each in seen))


def span(values: Scores) -> str:
    """Return mean, least and greatest of the settings as percentages."""
    return f"{values.mean():.1%} ({values.min():.1%} to {values.max():.1%})"


if __name__ == "__main__":
    sys.exit(main())
