"""Score a detector of your own on the grounds that Cusp's is scored on, beside it.

    python -m benchmarks.detector.score MY_DETECTOR.py [--quick] [--on GROUND...] [--json FILE]

MY_DETECTOR.py defines a class `Detector`, one instance a run:

    class Detector:
        def __init__(self, run):            # what is known of the run, see below
            self.safe_step = 0
        def update(self, step, metrics):    # one logged step: {"format_reward": 0.8, ...}
            return None                     # or "suspect" (look at the held-out score) or "stop"

`metrics` has canonical names (cusp/metrics.py: format_reward, accuracy_reward, completion_length,
clipped_ratio, entropy, kl, reward, reward_std, ...); a missing value is absent. `run` has completions (behind one
point), group (of one prompt), limit (tokens) and rewards ({"format_reward": (0.0, 1.0)}), each None or
empty where unknown, as in real logs. After "stop" the run ends and `safe_step` is read: the last
checkpoint at or before it is kept (the step of the stop if the class has no such attribute).

Grounds: `simulated` (grpo_simulation, with an oracle), `synthetic` (the older generator), `zoo` (real tiny
trainings with held-out scores), `real` (logs of other people). `synthetic` and `real` need data that are
not in the repository (../shared) and are left out without them. docs/reference/own-detector.md has more.
"""

import argparse
import importlib.util
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, Protocol

from benchmarks.detector import scoring
from benchmarks.detector.baselines import grounds
from benchmarks.detector.cases import Case, Outcome
from benchmarks.detector.grpo_simulation import KINDS
from benchmarks.detector.real import LOGS
from benchmarks.detector.simulated.rows import Judge, all_judged
from benchmarks.detector.simulated.tables import tables
from benchmarks.zoo import zoo

GROUNDS = ("simulated", "synthetic", "zoo", "real")
ANSWERS = (None, "suspect", "stop")
BASE = 540_000  # first seed of the simulated runs


@dataclass(frozen=True)
class RunFacts:
    """What a detector is told of a run before its first step; None or empty: unknown."""

    completions: int | None
    group: int | None
    limit: int | None
    rewards: Mapping[str, tuple[float, float]]


class Theirs(Protocol):
    """A detector of somebody else."""

    def update(self, step: int, metrics: Mapping[str, float]) -> str | None:
        """Take a step; return None, "suspect" or "stop"."""


Make = Callable[[RunFacts], Theirs]


class BadDetector(Exception):
    """A file cannot be scored; the message says why and what to do."""


def load(file: Path) -> Make:
    """Return the class `Detector` of a file.

    Raises:
        BadDetector: the file is not there, cannot be run, or defines no such class.
    """
    if not file.is_file():
        raise BadDetector(
            f"there is no file {file}; name a Python file that defines class Detector"
        )
    spec = importlib.util.spec_from_file_location("their_detector", file)
    if spec is None or spec.loader is None:
        raise BadDetector(f"{file} is no Python file; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise BadDetector(f"{file} cannot be run: {type(error).__name__}: {error}") from error
    made: object = getattr(module, "Detector", None)
    if not isinstance(made, type) or not callable(getattr(made, "update", None)):
        raise BadDetector(f"{file} defines no class Detector with a method update(step, metrics)")
    make: Make = made
    return make


def judged(case: Case, make: Make) -> Outcome:
    """Return what a detector does with a case.

    Raises:
        BadDetector: it raised, or answered something else than None, "suspect" and "stop".
    """
    ranges = {name: (r.low, r.high) for name, r in case.rewards.items()}
    facts = RunFacts(case.completions, case.group, case.completion_limit, ranges)
    begin, arose, before = time.process_time(), [], None
    detector = _try(case, "Detector(run)", partial(make, facts))
    for seen, (step, metrics) in enumerate(case.points, 1):
        said = _try(case, f"update({step}, ...)", partial(detector.update, step, dict(metrics)))
        if said not in ANSWERS:
            raise BadDetector(
                f'update({step}, ...) returned {said!r} on {case.name}; it must be None, "suspect" or "stop"'
            )
        if said and not before:
            arose.append(step)
        before = said
        if said == "stop":
            safe = int(getattr(detector, "safe_step", step))
            spent = time.process_time() - begin
            return Outcome(step, safe, safe, safe, safe, arose[0], seen, spent, tuple(arose))
    spent = time.process_time() - begin
    first = arose[0] if arose else None
    return Outcome(watch=first, points=len(case.points), seconds=spent, suspicions=tuple(arose))


def _try(case: Case, what: str, call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:
        raise BadDetector(
            f"{what} raised {type(error).__name__} on {case.name}: {error}"
        ) from error


def scored(name: str, make: Make, on: list[str], quick: bool) -> dict[str, Any]:
    """Print the tables of a detector beside Cusp's, a ground after the other; return the numbers."""
    found: dict[str, Any] = {}
    judges: dict[str, Judge] = {name: partial(judged, make=make), "Cusp": scoring.cusp}
    if "simulated" in on:
        found["simulated"] = _simulated(judges, (2, 2) if quick else (6, 10))
    null, positive = (1, 1) if quick else (10, 8)
    others: dict[str, tuple[Callable[[], list[Case]], Callable[..., str]]] = {
        "synthetic": (partial(grounds.synthetic, BASE, null, positive), scoring.synthetic_table),
        "zoo": (zoo.load, scoring.regret_table),
        "real": (lambda: grounds.real() if LOGS.exists() else [], scoring.label_table),
    }
    for ground in (g for g in others if g in on):
        cases, table = others[ground][0](), others[ground][1]
        if quick and ground == "zoo":
            cases = cases[::5]
        if not cases:
            print(f"\n{ground} is left out: its data are not on this machine", flush=True)
            continue
        named = [(who, [judge(case) for case in cases]) for who, judge in judges.items()]
        print(f"\n### {ground}: {len(cases)} runs\n\n{table(named, cases)}", flush=True)
        found[ground] = json.loads(scoring.as_json(cases, dict(named)))
    return found


def _simulated(judges: Mapping[str, Judge], counts: tuple[int, int]) -> dict[str, Any]:
    rows = {who: all_judged(KINDS, BASE, counts, [1], judge) for who, judge in judges.items()}
    for who, part in rows.items():
        print(f"\n## {who} on simulated GRPO runs\n\n{tables(part)}", flush=True)
    return {who: [asdict(row) for row in part] for who, part in rows.items()}


def main() -> None:
    """Score the file named on the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.detector.score",
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("file", type=Path, metavar="MY_DETECTOR.py")
    parser.add_argument("--quick", action="store_true", help="few runs of each kind: two minutes")
    parser.add_argument("--on", nargs="*", choices=GROUNDS, default=list(GROUNDS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every outcome")
    given = parser.parse_args()
    try:
        found = scored(given.file.stem, load(given.file), given.on, given.quick)
    except BadDetector as problem:
        _fail(str(problem))
    if given.json:
        given.json.write_text(json.dumps(found))


def _fail(text: str) -> NoReturn:
    print(text, file=sys.stderr)
    raise SystemExit(2)


if __name__ == "__main__":
    main()
