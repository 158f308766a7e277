"""The choice among simulated candidates: equal ones, one that is better, all later ones worse, a transition.

python -m benchmarks.evaluation.equal [--repeats 1000] [--seed 1] [--quick] [--only bars]

The sets: `tiny` 200 problems to select and 300 to report, 2 samples; `six` the six benchmarks of Tina's tables, in
halves to select and to report, with 1 sample or those of the suite `sober`. Eight candidates, the reference the third.
*claimed less true* is the score claimed for the chosen one minus its true pass@1 (winner's curse), in points;
*regret* the best true pass@1 minus that of the chosen. *some better*, *some worse*: comparisons with such a row.

Bars among equal candidates, rule `now`: the reference left in at most 10 %, some row called worse in at most 5.5 %, at
most .3 points claimed too much. One that is missed is drawn anew (`bars.py`), and exit status 1 tells of one that is
missed then, too.

The second table is what the best of all checkpoints costs and claims: the highest of m equal checkpoints on all six
benchmarks, as in published tables (m = 17), beside Cusp's eight candidates.
"""

import itertools
import sys
from collections.abc import Mapping
from functools import partial
from math import sqrt
from typing import NamedTuple

import numpy as np

from benchmarks.evaluation.bars import Bar, looked_at, told
from benchmarks.evaluation.draws import SIX, arguments, chances, markdown, samples, shifted
from benchmarks.evaluation.rules import best_of_all, candidate, cusp, until_now
from cusp.statistics import Scores
from cusp.statistics.comparison import ScoredCandidate

REFERENCE = 3
CURSE = 0.3  # points that may be claimed too much among equals
WORLDS: dict[str, tuple[float, ...]] = {  # points below the reference, of eight candidates
    "equal": (0,) * 8,
    "one 5 better": (0, 0, 0, 0, 0, -5, 0, 0),
    "later ones 2 to 10 worse": (0, 0, 0, 2, 4, 6, 8, 10),
    "a transition": (12, 4, 0, 5, 15, 25, 30, 30),
}
RULES = {"now": cusp, "until now": until_now, "highest of all problems": best_of_all}
Parts = Mapping[
    str, tuple[float, int, int, int]
]  # task -> rate, problems to select, to report, samples
SETS: dict[str, Parts] = {
    "tiny": {"tiny": (0.55, 200, 300, 2)},
    "six, k = 1": {b.name: (b.rate, b.problems // 2, b.problems // 2, b.tina) for b in SIX},
    "six, sober": {b.name: (b.rate, b.problems // 2, b.problems // 2, b.sober) for b in SIX},
}


def world(
    rng: np.random.Generator, parts: Parts, drops: tuple[float, ...]
) -> tuple[list[ScoredCandidate], dict[int, float]]:
    """Return the scored candidates and their true pass@1 by step."""
    scored: list[tuple[dict[str, Scores], dict[str, Scores]]] = [({}, {}) for _ in drops]
    truth = np.zeros(len(drops))
    total = sum(part[2] for part in parts.values())
    for task, (rate, select, report, k) in parts.items():
        for place, n in enumerate((select, report)):
            given = chances(rng, rate, n)
            for number, drop in enumerate(drops):
                moved = shifted(given, drop)
                scored[number][place][task] = samples(rng, moved, k)
                if place:
                    truth[number] += float(moved.sum()) / total
    found = [candidate(step, first, second) for step, (first, second) in enumerate(scored, 1)]
    return found, {step: float(value) for step, value in enumerate(truth, 1)}


class Outcome(NamedTuple):
    """What a rule did in each draw: arrays of as many values."""

    moved: Scores
    better: Scores
    worse: Scores
    curse: Scores
    regret: Scores
    made: Scores


def outcomes(
    parts: Parts, drops: tuple[float, ...], rule: str, rng: np.random.Generator, repeats: int
) -> Outcome:
    """Return what a rule did in so many draws of a world."""
    found = Outcome(*(np.zeros(repeats) for _ in Outcome._fields))
    for number in range(repeats):
        candidates, truth = world(rng, parts, drops)
        chosen = RULES[rule](candidates, REFERENCE)
        found.moved[number] = chosen.step != REFERENCE
        found.better[number], found.worse[number] = chosen.better > 0, chosen.worse > 0
        found.curse[number] = 100 * (chosen.claimed - truth[chosen.step])
        found.regret[number] = 100 * (max(truth.values()) - truth[chosen.step])
        found.made[number] = chosen.samples
    return found


def cells(name: str, rule: str, found: Outcome) -> list[str]:
    """Return one row of the table."""
    called = rule != "highest of all problems"
    return [
        name, rule, f"{found.moved.mean():.1%}", f"{found.better.mean():.1%}" if called else "–",
        f"{found.worse.mean():.1%}" if called else "–", f"{found.curse.mean():+.2f}",
        f"{found.regret.mean():.2f}", f"{found.made.mean():,.0f}",
    ]  # fmt: skip


def held(name: str, parts: Parts, seed: int, repeats: int, found: Outcome) -> tuple[str, bool]:
    """Return the lines on the bars among equal candidates, and whether each is met."""
    rng = np.random.default_rng([seed, 1])  # not the draws of the table

    def again(which: str, more: int) -> float:
        return float(getattr(outcomes(parts, WORLDS["equal"], "now", rng, more), which).mean())

    seen = [
        one
        for which, bar in (("moved", Bar(most=0.10)), ("worse", Bar(most=0.055)))
        for one in looked_at(
            f"{name}, equal, {which}",
            bar,
            float(getattr(found, which).mean()),
            repeats,
            partial(again, which),
        )
    ]
    spread = 2 * float(found.curse.std(ddof=1)) / sqrt(repeats)
    cursed = float(found.curse.mean())
    met = cursed - spread <= CURSE and not any(each.fault for each in seen)
    said = f"Claimed less true among equals: {cursed:+.2f} ± {spread:.2f} points (at most {CURSE})."
    return f"{said} {told(seen, 2)}", met


def claims(rng: np.random.Generator, m: int, sober: bool, repeats: int) -> list[str]:
    """Return what the best of m equal checkpoints costs and claims, average of six benchmarks."""
    given = [(b, chances(rng, b.rate, b.problems), b.sober if sober else b.tina) for b in SIX]
    won = np.zeros(repeats)
    for number in range(repeats):
        averages = np.mean(
            [
                [rng.binomial(k, one).mean() / k - one.mean() for _ in range(m)]
                for _, one, k in given
            ],
            axis=0,
        )
        won[number] = 100 * averages.max()
    each = sum(b.problems * k for b, _, k in given)
    suite = "sober" if sober else "k = 1"
    return [str(m), suite, f"{m * each:,}", f"{won.mean():+.2f}", f"{np.quantile(won, 0.95):+.2f}"]


def main() -> int:
    """Print both tables and what became of the bars; return 1 if one is missed."""
    given = arguments(str(__doc__), 1000, 100, ("bars",))
    print(f"seed {given.seed}.\n")
    head = ("candidates", "rule", "leaves the reference", "some better", "some worse",
            "claimed less true", "regret", "samples")  # fmt: skip
    missed = False
    for name, parts in SETS.items():
        few = given.repeats if name == "tiny" else max(20, given.repeats // 4)
        rows = []
        for (words, drops), rule in itertools.product(WORLDS.items(), RULES):
            asked = (words, rule) == ("equal", "now")
            if given.only and not asked:
                continue
            repeats = given.repeats if asked else few
            found = outcomes(parts, drops, rule, np.random.default_rng(given.seed), repeats)
            rows.append(cells(words, rule, found))
            if asked:
                line, met = held(name, parts, given.seed, repeats, found)
                missed |= not met
        print(f"{name}, {few} draws, {given.repeats} of the first row\n\n{markdown(head, rows)}\n")
        print(f"{line}\n", flush=True)
    if given.only:
        return int(missed)
    rng = np.random.default_rng(given.seed)
    rows = [claims(rng, m, sober, given.repeats) for sober in (False, True) for m in (3, 8, 17, 30)]
    head_claims = ("checkpoints", "suite", "samples", "claimed less true", "95 % are below")
    print(markdown(head_claims, rows))
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
