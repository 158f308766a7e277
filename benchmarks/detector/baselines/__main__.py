"""What a user could use instead of Cusp's detector, all in one table, scored alike.

    python -m benchmarks.detector.baselines [--quick] [--json FILE]
        [--on synthetic simulated real tiny zoo] [--methods NAME...] [--calibration N] [--null N --pos N]

Every method sees the same points as Cusp, one after another, and may stop the run after any of them.
It reads format and length; accuracy too where it is logged. Each of the families habits, ADWIN and
change points is run twice:
  default   the threshold people use (in the table's name)
  best      the threshold at which 1 % of synthetic calibration nulls (seeds 700000.., never tested on)
            are stopped; for ADWIN the largest of five deltas that stays within it
Rules that need accuracy, truncation or evaluations, and the monitors that people can install, run at
their own halt level. Cusp runs with its shipped preset; nothing of it is fitted here. Methods are
written from the papers (ours, no code of others) or run as packages in an environment of their own
(workers.py). Univariate methods watch each metric's goodness and the worst one counts; a change counts
only against the good direction. They date by their own rule and keep the last checkpoint at or before
that date. Ranges of rewards, unknown in real logs, are told to the baselines (a help).

References: Bifet, Gavalda 2007 (ADWIN); Page 1954, Hinkley 1971; the rest in changepoints.py.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.detector import scoring
from benchmarks.detector.baselines import grounds, workers
from benchmarks.detector.baselines.adwin import DELTAS, Adwin
from benchmarks.detector.baselines.changepoints import Bocpd, Focus, PeltRerun
from benchmarks.detector.baselines.habits import EmaDrop, PageHinkley, Patience
from benchmarks.detector.baselines.method import Baseline, Course, calibrated, online, outcome
from benchmarks.detector.baselines.rules import RULES
from benchmarks.detector.cases import Case, Outcome
from benchmarks.zoo import zoo

BASELINES = (
    Baseline("patience", online(Patience), 100, "100 points"),
    Baseline("EMA threshold", online(EmaDrop), 0.1, "10 % off the best"),
    Baseline("Page-Hinkley", online(PageHinkley), 50, "lambda 50"),
    Baseline("PELT re-run", online(PeltRerun), 1e-9, "any bad change, penalty 2 d log n"),
    Baseline("BOCPD", online(Bocpd), 12, "evidence 12"),
    Baseline("FOCuS", online(Focus), 25, "z 5"),
    *(Baseline("ADWIN", online(partial(Adwin, d)), 1.0, f"delta {d:g}") for d in DELTAS),
    *RULES,
)
Settings = list[tuple[str, Baseline, float]]


def settings(baselines: Sequence[Baseline], nulls: Sequence[Case]) -> Settings:
    """Return every baseline at its default and, if it is calibrated, at its best threshold."""
    chosen: Settings = []
    adwin = [b for b in baselines if b.name == "ADWIN"]
    for baseline in baselines:
        name = f"{baseline.name} ({baseline.default_words})"
        if not baseline.calibrated:
            chosen.append((name, baseline, baseline.default))
            continue
        _say(f"calibrating {name}")
        name = f"{baseline.name}, default ({baseline.default_words})"
        if baseline.name != "ADWIN":
            level = calibrated([baseline.course(case) for case in nulls])
            chosen.append((name, baseline, baseline.default))
            chosen.append((f"{baseline.name}, best ({level:.3g})", baseline, level))
        elif baseline is adwin[0]:
            chosen.append((name, baseline, 1.0))
            best = _calmest(adwin, nulls)
            chosen.append((f"ADWIN, best ({best.default_words})", best, 1.0))
    return chosen


def _calmest(adwin: Sequence[Baseline], nulls: Sequence[Case]) -> Baseline:
    """Return the ADWIN of the largest delta that stops at most 1 % of the nulls, or the last."""
    for baseline in adwin[:-1]:
        if sum(baseline.course(case).top >= 1 for case in nulls) <= 0.01 * len(nulls):
            return baseline
    return adwin[-1]


def judged(cases: Sequence[Case], chosen: Settings, ground: str) -> list[tuple[str, list[Outcome]]]:
    """Return the outcomes of every setting that the ground allows, of Cusp, and of never stopping."""
    usable = [one for one in chosen if not one[1].grounds or ground in one[1].grounds]
    courses: dict[int, list[Course]] = {}
    for name, baseline, _ in usable:
        if id(baseline) not in courses:
            _say(f"{ground}: {name}")
            courses[id(baseline)] = [baseline.course(case) for case in cases]
    named = [
        (name, [outcome(c, p, level) for c, p in zip(cases, courses[id(baseline)], strict=True)])
        for name, baseline, level in usable
    ]
    _say(f"{ground}: Cusp")
    never = [Outcome(points=len(case.points)) for case in cases]
    return [("Cusp", [scoring.cusp(case) for case in cases]), *named, ("no stop", never)]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def simulated_tables(named: scoring.Named, cases: Sequence[Case]) -> str:
    """Return both tables of the second generator: stops and delays, and what is kept of positive runs."""
    positive = [i for i, case in enumerate(cases) if case.kind == "positive"]
    part = [(name, [found[i] for i in positive]) for name, found in named]
    return (
        scoring.synthetic_table(named, cases, hard="hard runs stopped")
        + "\n"
        + scoring.regret_table(part, [cases[i] for i in positive])
    )


def main() -> None:
    """Print the tables as Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few synthetic runs")
    parser.add_argument("--json", type=Path)
    parser.add_argument(
        "--on", nargs="*", default=["synthetic", "simulated", "real", "tiny", "zoo"]
    )
    parser.add_argument("--methods", nargs="*", metavar="NAME", help="only these baselines")
    parser.add_argument("--calibration", type=int, default=25, help="of each of 12 null kinds")
    parser.add_argument("--null", type=int, default=20)
    parser.add_argument("--pos", type=int, default=15)
    parser.add_argument("--simulated", type=int, default=6, help="seeds of each simulated kind")
    given = parser.parse_args()
    few = (
        (3, 2, 2, 1) if given.quick else (given.calibration, given.null, given.pos, given.simulated)
    )
    there, missing = workers.available()
    wanted = [b for b in (*BASELINES, *there) if not given.methods or b.name in given.methods]
    nulls = [c for c in grounds.synthetic(grounds.CALIBRATION, few[0], 0) if c.kind == "null"]
    chosen = settings([b for b in wanted if nulls or not b.calibrated], nulls)
    found: dict[str, Any] = {}
    sets: dict[str, tuple[Callable[[], list[Case]], Callable[..., str]]] = {
        "synthetic": (
            lambda: grounds.synthetic(grounds.TEST, *few[1:3]), scoring.synthetic_table,
        ),
        "simulated": (
            lambda: grounds.simulated(grounds.SIMULATED, 2 * few[3], few[3]), simulated_tables,
        ),
        "real": (grounds.real, scoring.label_table),
        "tiny": (grounds.tiny, scoring.regret_table),
        "zoo": (zoo.load, scoring.regret_table),
    }  # fmt: skip
    for name in given.on:
        make, table = sets[name]
        cases = make()
        if not cases:
            continue
        named = judged(cases, chosen, name)
        print(f"\n### {name}: {len(cases)} runs\n\n{table(named, cases)}", flush=True)
        found[name] = json.loads(scoring.as_json(cases, dict(named)))
    print("\n".join(missing))
    if workers.versions():
        print("Packages of others: " + ", ".join(workers.versions()))
    if given.json:
        given.json.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
