"""The zoo: real tiny GRPO-LoRA runs, with and without a transition, every checkpoint scored.

    python -m benchmarks.zoo.zoo list                  # all runs of the zoo and what makes each
    python -m benchmarks.zoo.zoo make [NAME...] [--until HH:MM] [--dir FOLDER]
    python -m benchmarks.zoo.zoo collect DATABASE      # runs of the zoo that `cusp demo --no-stop` made
    python -m benchmarks.zoo.zoo score [--zoo NAME] [--verify] [--json FILE] [--preset NAME] [--all]

`make` trains what is missing, one run after another in one process (about two minutes each on one
core), and writes its files (`benchmarks/zoo/storage.py`) to benchmarks/zoo/runs. Runs that are there are not
made again, so it can be interrupted at any time. `collect` takes finished runs whose recipe is exactly that
of a run of the zoo (but for how it is called and watched) and whose checkpoints were all scored, from the
SQLite file of a monitor: training and scoring are the same code and seeds.

`score` replays every run that is there. regret = best held-out pass@1 (report set) of all checkpoints
of the whole run minus that of the one kept: `signals` keeps the last one at or before the safe step,
`evaluation` the best on the selection set of those saved up to the stop, `last` the last one.
`lost` runs lose >= .10 held-out from their best to their last checkpoint, `healthy` ones < .05; the
label comes from the whole run and is used for counting only.

`--verify` replays suspect, verify, act, too (`benchmarks/zoo/verified.py`), with one sample a problem and with two:
a suspicion is verified on held-out problems, and the scores decide. Completions are those generated for it.

There are two zoos. `head32` (benchmarks/zoo/runs) is of the present recipes, whose base model is shipped, and
has the scores by problem; `head16` (benchmarks/zoo/runs_head16) is of the recipes until 2026-11-29, whose base
had a head size of 16 and was trained on the machine of the run, and has pass@1 only. `score` takes the
newer as soon as it has 60 runs, and says which it took.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.detector import scoring
from benchmarks.detector.cases import Case, Outcome
from benchmarks.zoo import storage, verified
from benchmarks.zoo.making import collect, make
from benchmarks.zoo.storage import ZOO, ZOOS, load, read
from benchmarks.zoo.variants import RUNS

__all__ = ["RUNS", "ZOO", "load", "read"]


def score(zoo: str, preset: str, json_file: Path | None, every: bool, verify: bool) -> None:
    """Print how the detector does over what is there."""
    cases = load(zoo)
    if not cases:
        sys.exit("the zoo is empty: run `python -m benchmarks.zoo.zoo make` first")
    outcomes = [scoring.cusp(case, preset) for case in cases]
    print(f"Zoo {zoo}: {len(cases)} of {len(RUNS)} runs are there.\n")
    if every:
        print(scoring.run_table(cases, outcomes))
    print(scoring.regret_table([("Cusp, preset " + preset, outcomes)], cases))
    for case, outcome in zip(cases, outcomes, strict=True):
        if case.kind == "healthy" and outcome.stop is not None:
            kept = scoring.regret(case, outcome)
            print(f"false stop: {case.name} at {outcome.stop}, cost {kept.signals:.3f} pass@1")
    methods = {"cusp": outcomes}
    if verify:
        methods |= score_verified(cases, preset, every)
    if json_file:
        json_file.write_text(scoring.as_json(cases, methods))


def score_verified(cases: list[Case], preset: str, every: bool) -> dict[str, list[Outcome]]:
    """Print the table of suspect, verify, act; return the outcomes by method."""
    if drawn := sum(not case.problems for case in cases):
        print(
            f"{drawn} of {len(cases)} runs have no scores by problem: theirs are drawn from the pass@1 of the"
            " selection set, each problem and sample by itself\n"
        )
    named = [
        (f"verified, {samples} a problem", [verified.replayed(c, preset, samples) for c in cases])
        for samples in (1, 2)
    ]
    print(verified.table(named, cases))
    for case, found in zip(cases, named[0][1], strict=True):
        if (case.kind == "healthy" and found.kept is not None) or every:
            print(verified.line(case, found))
    return {name: [one.outcome for one in found] for name, found in named}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("list", "make", "collect", "score"))
    parser.add_argument("names", nargs="*")
    parser.add_argument("--until", help="start no further run at or after this time of the day")
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()) / "cusp-zoo")
    parser.add_argument("--json", type=Path)
    parser.add_argument(
        "--zoo", choices=tuple(ZOOS), help="default: the newer if it is large enough"
    )
    parser.add_argument("--preset", default="default")
    parser.add_argument("--verify", action="store_true", help="verify suspicions, too")
    parser.add_argument("--all", action="store_true", help="one line for every run")
    parser.add_argument("--quick", action="store_true", help="accepted as by the other benchmarks")
    given = parser.parse_args()
    if given.what == "make":
        make(given.names, given.until, given.dir)
    elif given.what == "collect":
        for database in given.names:
            collect(Path(database))
    elif given.what == "score":
        score(given.zoo or storage.current(), given.preset, given.json, given.all, given.verify)
    else:
        print("\n".join(f"{run.name:24} {run.command}" for run in RUNS))


if __name__ == "__main__":
    main()
