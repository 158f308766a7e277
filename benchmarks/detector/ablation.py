"""What is lost without each gate, weight and limit of the detector?

    python -m benchmarks.detector.ablation [--quick] [--only NAME...] [--seed N]

Each variant sets constants of monitor/detector/constants.py to values at which a part has no effect, and
folds every ground again: the zoo, other people's real logs and the study's tiny runs (../shared/data),
sharp rises of format (as in real runs: 8 to 44 steps, .97 falls to .85 at 450), and null and positive runs
of the study's generator. A row is a variant: losing and healthy runs of the zoo stopped, its regret by the
signals, the same of the tiny runs, negatives stopped and turns seen in real logs, the median and greatest
delay of the stop after a sharp rise, null runs stopped and positive ones found and stopped. What changes
against the first row is what the part is for; a part whose row is the first one earns nothing here.
"""

import argparse
from collections.abc import Sequence
from multiprocessing import Pool
from pathlib import Path

import numpy as np

from benchmarks.detector import real, scoring, synthetic, tiny
from benchmarks.detector.cases import Case, Outcome
from benchmarks.zoo import zoo
from monitor.detector import RewardRange, constants

WIDTHS = (8, 17, 26, 44)  # steps from 10 to 90 % of a rise
AT = 450
EVER = 1e9
VARIANTS: dict[str, dict[str, object]] = {
    "as it is": {},
    "blocks of one point": {"BLOCKS": (1,)},
    "no extrapolation": {"GROWTH": 1.0},
    "no heavy tails": {"HEAVY": 0.0},
    "no sparse rewards": {"SPARSE": 0.0},
    "no settled noise": {"SETTLED": EVER},
    "settled noise unbounded": {"SETTLED_LEAST": 0.0},
    "no young inflation": {"YOUNG": 0.0},
    "no correlation discount": {"SHARED": 0.0},
    "no clipping": {"CLIP": EVER},
    "no floor": {"FLOOR": 0.01, "FLOOR_LENGTH": 0.001, "FLOOR_ENTROPY": 0.001},
    "no least effects": {"SHARE_EFFECT": 0.0, "LENGTH_EFFECT": 0.0, "ENTROPY_EFFECT": 0.0},
    "no explosion": {"EXPLOSION": EVER},
    "no learnt ceiling": {"AT_CEILING": EVER},
    "no rise asked of format": {"RISE_Z": 0.0},
    "no fall asked of length": {"FALL_Z": 0.0, "LENGTH_FALL": -EVER},
    "high format opens nothing": {"HIGH": EVER},
    "no second witness": {"WITNESS": 0.0},
    "format limited": {"LEARNT": EVER},
    "format never limited": {"LEARNT": -EVER},
    "accuracy limited": {"LOST": 0.0},
    "accuracy never limited": {"LOST": EVER},
    "entropy limited": {"SURGE": EVER},
    "truncation counts nothing": {"CUT": EVER},
    "truncation counts any rise": {"CUT": 0.0, "MORE_CUT": 0.0},
    "length's debt": {"AT_ONCE": 0.0},
    "what came back counts": {"STILL": -EVER},
    "no points after a change": {"FOLLOWED": 0},
    "no date of accuracy": {"DATED_BY": EVER},
    "no least level": {"LEVEL": 1},
    "no collapse rules": {"COLLAPSE": EVER, "DEAD": EVER, "CHANCE": EVER},
    "no silence": {"SILENT_ENTROPY": 0.0},
    "every log as of every step": {"COARSE": ()},
}


def sharp(width: int, seed: int, most: float = 1.0) -> Case:
    """Return a run whose format rises sharply at 150 and falls 12 points in 10 steps from 450 on."""
    rng = np.random.default_rng([width, seed])
    steps = np.arange(1, 621)
    level = 0.1 + 0.87 / (1 + np.exp(-np.clip((steps - 150) * 4.394 / width, -40, 40)))
    level = level - 0.12 * np.clip((steps - AT) / 10, 0, 1)
    form = most * rng.binomial(64, level) / 64
    length = 900 - 300 * np.clip((steps - 60) / 200, 0, 1)
    length = length * (1 + 0.25 * np.clip((steps - AT) / 100, 0, 1))
    length = length * np.exp(0.1 * rng.standard_normal(len(steps)))
    points = [
        (int(step), {"format_reward": float(f), "completion_length": float(n)})
        for step, f, n in zip(steps, form, length, strict=True)
    ]
    return Case(f"sharp {width} {seed}", points, f"sharp {width}", truth=AT, completions=64)


def study(seed: int, runs: int) -> list[Case]:
    """Return null and positive runs of the study's generator, format and length."""
    gen, cases = synthetic.generator(), []
    for kind in gen.KINDS:
        for j in range(runs):
            run = gen.make_run(kind, seed + j)
            columns = zip(run["steps"], run["format"], run["length"], strict=True)
            points = [
                (int(s), {"format_reward": float(f), "completion_length": float(n)})
                for s, f, n in columns
            ]
            truth = run["truth"]["transition"]
            ranges = {"format_reward": RewardRange(0, run["fmax"])}
            label = "null" if truth is None else "positive"
            cases.append(
                Case(kind, points, label, truth=truth, completions=run["n"], rewards=ranges)
            )
    return cases


def logs(folder: Path) -> list[Case]:
    """Return other people's real logs: kinds `no` and `dated`."""
    known, cases = real.labels(folder / "ANNOTATIONS.csv"), []
    for path in sorted((folder / "runs").glob("*.csv")):
        label = known.get(path.stem, real.Label())
        dated = "dated" if label.sure and label.dates else "other"
        points = [(sample.step, sample.metrics) for sample in real.read(path)]
        kind = "no" if label.kind == "no" else dated
        cases.append(Case(path.stem, points, kind, labels=label.dates, tolerance=label.tolerance))
    return cases


def tiny_runs() -> list[Case]:
    """Return the study's tiny runs with their held-out scores."""
    cases = []
    for path in sorted(tiny.RUNS.glob("*.csv")):
        if "repeat" not in path.stem:
            scores = tiny.held_out(path)
            points = [(sample.step, sample.metrics) for sample in tiny.read(path)]
            kind = "healthy" if path.stem.startswith(tiny.CONTROLS) else "lost"
            cases.append(
                Case(
                    path.stem,
                    points,
                    kind,
                    completions=48,
                    completion_limit=64,
                    selection=scores,
                    report=scores,
                )
            )
    return cases


def seen(case: Case, outcome: Outcome) -> bool:
    """Return whether a labelled turn was suspected or stopped within twice the tolerance + 20 steps."""
    low = min(case.labels) - 2 * case.tolerance
    high = max(case.labels) + 2 * case.tolerance + 20
    return any(step is not None and low <= step <= high for step in (outcome.watch, outcome.stop))


def folded(job: tuple[dict[str, object], Case]) -> Outcome:
    """Return what the detector does with a case under other constants."""
    changed, case = job
    before = {name: getattr(constants, name) for name in changed}
    for name, value in changed.items():
        setattr(constants, name, value)
    try:
        return scoring.cusp(case)
    finally:
        for name, value in before.items():
            setattr(constants, name, value)


def row(name: str, grounds: dict[str, list[Case]], found: dict[str, list[Outcome]]) -> list[str]:
    """Return one variant's line."""

    def stopped(ground: str, kind: str) -> str:
        pairs = zip(grounds[ground], found[ground], strict=True)
        part = [outcome.stop is not None for case, outcome in pairs if case.kind == kind]
        return f"{sum(part)}/{len(part)}"

    def regret(ground: str) -> str:
        pairs = zip(grounds[ground], found[ground], strict=True)
        return f"{np.mean([scoring.regret(*pair).signals for pair in pairs]):.4f}"

    dated = [p for p in zip(grounds["real"], found["real"], strict=True) if p[0].kind == "dated"]
    delays = [scoring.delay(*p) for p in zip(grounds["sharp"], found["sharp"], strict=True)]
    positive = [p for p in zip(grounds["study"], found["study"], strict=True) if p[0].truth]
    sights = [scoring.delay(case, Outcome(outcome.watch)) for case, outcome in positive]
    stops = [scoring.delay(*pair) for pair in positive]
    return [
        name, stopped("zoo", "lost"), stopped("zoo", "healthy"), regret("zoo"),
        stopped("tiny", "lost"), stopped("tiny", "healthy"), regret("tiny"),
        stopped("real", "no"), f"{sum(seen(*pair) for pair in dated)}/{len(dated)}",
        f"{scoring.quantile(delays, 0.5):.0f}/{max(delays):.0f}", stopped("study", "null"),
        f"{np.mean(np.isfinite(sights)):.0%} {scoring.quantile(sights, 0.5):.0f}",
        f"{np.mean(np.isfinite(stops)):.0%} {scoring.quantile(stops, 0.5):.0f}",
    ]  # fmt: skip


def main(given: Sequence[str] | None = None) -> None:
    """Print the table, a row as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--quick",
        action="store_true",
        help="every third case of each ground, and less of the generator",
    )
    parser.add_argument("--only", nargs="*", help="names of variants")
    parser.add_argument("--seed", type=int, default=9_100_000)
    parser.add_argument("--runs", type=int, default=4, help="of each kind of the study's generator")
    args = parser.parse_args(given)
    grounds = {
        "zoo": zoo.load(),
        "tiny": tiny_runs(),
        "real": logs(real.LOGS),
        "sharp": [sharp(width, args.seed + i) for width in WIDTHS for i in range(6)],
        "study": study(args.seed, args.runs),
    }
    if args.quick:
        grounds["study"] = grounds["study"][:: args.runs]
        grounds = {name: cases[::3] for name, cases in grounds.items()}
    head = ["variant", "zoo lost", "healthy", "regret", "tiny lost", "controls", "regret",
            "real negatives", "turns seen", "sharp: stop", "null", "found", "stopped"]  # fmt: skip
    width = max(map(len, VARIANTS))
    print("  ".join(name.ljust(width if i == 0 else 9) for i, name in enumerate(head)))
    with Pool(2) as pool:
        for name, changed in VARIANTS.items():
            if args.only and name not in args.only:
                continue
            found = {
                ground: pool.map(folded, [(changed, case) for case in cases], chunksize=1)
                for ground, cases in grounds.items()
            }
            cells = row(name, grounds, found)
            print(
                "  ".join(c.ljust(width if i == 0 else 9) for i, c in enumerate(cells)), flush=True
            )


if __name__ == "__main__":
    main()
