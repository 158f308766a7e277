"""Choosing among the checkpoints of open-rs, whose scores by checkpoint are published.

python -m benchmarks.evaluation.open_rs [--repeats 100] [--seed 1] [--quick]

SCORES are AIME24, AMC23 and MATH500 of experiments 2 and 3 (one sample a problem, lighteval; the logs in the
repository of arXiv 2503.16219, open-rs), SECONDS the median time of one evaluation there. Scores by problem are not
published, so problems are simulated: Beta chances with a + b = 1, moved by one shift of all logits to each
checkpoint's score. What is true is not known either; two truths bound it:

`published`  each checkpoint is as good as its published score, with all the noise that is in it
`two levels` MATH500 falls once and stays: all checkpoints before the fall are alike, all after it, too

Cusp's reference is the last checkpoint before the fall, or, had no transition been seen, the last one; its candidates
are those of its policy, in halves to select and to report. *regret* is the best true average of the three benchmarks
minus that of the one chosen, *claimed less true* for the score shown, in points; hours as there, on one machine.
"""

from collections.abc import Mapping

import numpy as np

from benchmarks.evaluation.draws import arguments, chances, markdown, samples, shifted
from benchmarks.evaluation.rules import candidate, cusp
from cusp.statistics import Scores
from monitor.detector import Transition
from monitor.policy import candidates as policy
from monitor.policy.decide import Saved

TASKS, PROBLEMS = ("aime24", "amc23", "math500"), (30, 40, 500)
SECONDS = (613, 484, 1255)  # of one checkpoint, one sample a problem
SAMPLES = {"k = 1": (1, 1, 1), "sober": (16, 16, 4)}
SCORES: dict[str, dict[int, tuple[float, float, float]]] = {
    "Exp2": {
        50: (30.0, 80.0, 85.4), 100: (33.3, 70.0, 85.6), 150: (36.7, 75.0, 85.4), 200: (20.0, 57.5, 80.0),
        250: (30.0, 65.0, 82.6), 300: (20.0, 67.5, 82.4), 350: (33.3, 62.5, 81.4), 400: (26.7, 70.0, 82.2),
    },
    "Exp3": {
        50: (46.7, 72.5, 84.4), 100: (30.0, 70.0, 84.4), 150: (43.3, 75.0, 85.6), 200: (23.3, 77.5, 85.2),
        250: (33.3, 60.0, 80.4), 300: (26.7, 70.0, 83.0), 350: (23.3, 70.0, 81.4), 400: (30.0, 67.5, 82.4),
    },
}  # fmt: skip
FALL = {"Exp2": 150, "Exp3": 200}  # the last checkpoint before MATH500 falls by 5 points
Truth = Mapping[int, tuple[float, ...]]
Rows = Mapping[int, list[Scores]]  # step -> scores of each task


def truths(name: str) -> dict[str, Truth]:
    """Return both truths, in percent."""
    published = SCORES[name]
    levels = [
        np.mean([s for step, s in published.items() if (step <= FALL[name]) == before], axis=0)
        for before in (True, False)
    ]
    two = {step: tuple(levels[0 if step <= FALL[name] else 1]) for step in published}
    return {"published": published, "two levels": two}


def drawn(rng: np.random.Generator, truth: Truth, k: tuple[int, ...]) -> Rows:
    """Return samples of all checkpoints on the same problems."""
    rows: dict[int, list[Scores]] = {step: [] for step in truth}
    for task, n in enumerate(PROBLEMS):
        centre = float(np.mean([scores[task] for scores in truth.values()])) / 100
        given = chances(rng, centre, n)
        for step, scores in truth.items():
            moved = shifted(given, 100 * float(given.mean()) - scores[task])
            rows[step].append(samples(rng, moved, k[task]))
    return rows


def by_cusp(rows: Rows, reference: int, seen: bool) -> tuple[int, float, tuple[float, ...]]:
    """Return the chosen step, the claimed average, and the shares of each task's evaluation that were made."""
    saved = [Saved(str(step), step, "", "") for step in rows]
    t = Transition(reference, reference, reference, reference, max(rows), "confirmed")
    steps = [c.step for c in policy.candidates(t if seen else None, saved, {}) if c.step]
    found = []
    for step in steps:
        first, second = (
            {task: one[place::2] for task, one in zip(TASKS, rows[step], strict=True)}
            for place in (0, 1)
        )
        found.append(candidate(step, first, second))
    chosen = cusp(found, reference)
    whole = sum(one.size for one in rows[reference])
    made = chosen.samples / whole
    report = next(one for one in found if one.step == chosen.step).report
    claimed = 100 * float(np.mean([one.pass_at_1 for one in report]))
    return chosen.step, claimed, (made,) * len(TASKS)


def by_hand(rows: Rows, tasks: tuple[int, ...]) -> tuple[int, float, tuple[float, ...]]:
    """Return the same for the highest average of these tasks among all checkpoints."""
    means = {step: np.mean([one[t].mean() for t in tasks]) for step, one in rows.items()}
    best = max(means, key=lambda step: (means[step], -step))
    made = tuple(float(len(rows) * (t in tasks)) for t in range(len(TASKS)))
    return best, 100 * float(means[best]), made


def table(name: str, kind: str, suite: str, seed: int, repeats: int) -> list[list[str]]:
    """Return a row for each rule."""
    rng, truth, k = np.random.default_rng(seed), truths(name)[kind], SAMPLES[suite]
    results: dict[str, list[tuple[bool, float, float, float, float]]] = {}
    best = max(float(np.mean(scores)) for scores in truth.values())
    for _ in range(repeats):
        rows = drawn(rng, truth, k)
        rules = {
            "Cusp, transition seen": (by_cusp(rows, FALL[name], True), (0, 1, 2)),
            "Cusp, none seen": (by_cusp(rows, max(rows), False), (0, 1, 2)),
            "highest average of three": (by_hand(rows, (0, 1, 2)), (0, 1, 2)),
            "highest AIME24": (by_hand(rows, (0,)), (0,)),
        }
        for rule, ((step, claimed, made), tasks) in rules.items():
            true = float(np.mean([truth[step][t] for t in tasks]))
            generated = sum(m * n * s for m, n, s in zip(made, PROBLEMS, k, strict=True))
            hours = sum(m * s * t for m, s, t in zip(made, k, SECONDS, strict=True)) / 3600
            lost = best - float(np.mean(truth[step]))
            results.setdefault(rule, []).append(
                (step <= FALL[name], lost, claimed - true, generated, hours)
            )
    return [
        [name, kind, suite, rule, *(f"{x:{f}}" for x, f in zip(np.mean(found, axis=0), FORMATS, strict=True))]
        for rule, found in results.items()
    ]  # fmt: skip


FORMATS = (".0%", ".2f", "+.2f", ",.0f", ".1f")


def main() -> None:
    """Print what was published and what each rule would have done."""
    given = arguments(str(__doc__), 100, 10)
    print("As published, each rule once:\n")
    rows = []
    for name, scores in SCORES.items():
        average = max(scores, key=lambda step: np.mean(scores[step]))
        aime = max(scores, key=lambda step: scores[step][0])
        math = max(scores, key=lambda step: scores[step][2])
        for rule, step in (
            ("last before the fall", FALL[name]), ("last", max(scores)),
            ("highest average of three", average), ("highest AIME24", aime), ("highest MATH500", math),
        ):  # fmt: skip
            cells = (f"{score:.1f}" for score in (*scores[step], float(np.mean(scores[step]))))
            rows.append([name, rule, str(step), *cells])
    print(markdown(("run", "rule", "step", *TASKS, "average"), rows) + "\n", flush=True)
    print(f"Simulated problems, {given.repeats} draws, seed {given.seed}:\n")
    rows = [
        row
        for name in SCORES
        for kind in ("published", "two levels")
        for suite in SAMPLES
        for row in table(name, kind, suite, given.seed, given.repeats)
    ]
    head = ("run", "truth", "samples", "rule", "before the fall", "regret", "claimed less true",
            "samples", "hours")  # fmt: skip
    print(markdown(head, rows))


if __name__ == "__main__":
    main()
