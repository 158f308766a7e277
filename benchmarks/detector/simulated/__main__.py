"""How often is a healthy run stopped, how soon is a transition seen, against a bound that knows all?

    python -m benchmarks.detector.simulated [--quick] [--base SEED] [--runs N] [--healthy N]
        [--every 1 5 10 25] [--kinds NAME...] [--verify] [--jobs N]
        [--json FILE] [--before FILE]

Runs of the second generator (grpo_simulation: how GRPO makes its numbers). Seeds from 500000 are this
script's held-out ones; develop with another --base. A row is a kind of run, or several pooled:
  false stops      stops of healthy runs, and of positive ones more than 20 steps before the truth, per
                   1,000 steps watched [95 % interval, exact Poisson]
  suspected        share of runs with a suspicion; of positive ones not more than 20 steps early
  looks            suspicions per 1,000 steps: how often a verification would be asked for
  delay            median steps from the truth to the suspicion, and to the stop; never: more than half are not
  oracle           median delay of a CUSUM that knows everything but the time (grpo_simulation/oracle.py)
  ratio            median delay of suspicion / median delay of the oracle
`--verify` replays suspect, verify, act, with answers to held-out problems drawn from the true skill.
`--before` takes the JSON of an earlier detector on the same seeds and shows its numbers as `before -> now`.
"""

import argparse
import json
from dataclasses import asdict
from functools import partial
from pathlib import Path

from benchmarks.detector import scoring
from benchmarks.detector.grpo_simulation import KINDS, Run
from benchmarks.detector.simulated import verify
from benchmarks.detector.simulated.rows import all_judged, read
from benchmarks.detector.simulated.tables import BARS, VERIFIED, bars, tables


def main() -> None:
    """Print the tables; write the rows as JSON on request."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="4 seeds a kind, logging_steps 1 and 10"
    )
    parser.add_argument("--base", type=int, default=500_000, help="the first seed")
    parser.add_argument("--runs", type=int, default=20, help="seeds of a kind with a transition")
    parser.add_argument("--healthy", type=int, default=30, help="seeds of a healthy kind")
    parser.add_argument("--every", type=int, nargs="*", default=[1, 5, 10, 25])
    parser.add_argument(
        "--kinds", nargs="*", choices=list(KINDS), metavar="KIND", help="only these"
    )
    parser.add_argument("--preset", default="default")
    parser.add_argument("--verify", action="store_true", help="suspect, verify, act (verify.py)")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--before", type=Path, help="JSON of an earlier detector, same seeds")
    given = parser.parse_args()
    counts, every = (given.runs, given.healthy), given.every
    if given.quick:
        counts, every = (4, 4), [1, 10]
    judge = partial(verify.judge if given.verify else scoring.cusp, preset=given.preset)
    as_case = verify.as_case if given.verify else Run.case
    rows = all_judged(given.kinds or KINDS, given.base, counts, every, judge, given.jobs, as_case)
    before = read(given.before) if given.before else []
    wanted = {(r.kind, r.seed, r.every) for r in rows}
    print(tables(rows, [r for r in before if (r.kind, r.seed, r.every) in wanted]))
    print(bars(rows, VERIFIED if given.verify else BARS))
    us = 1e6 * sum(r.seconds for r in rows) / max(sum(r.points for r in rows), 1)
    print(f"\n{us:.0f} us a point")
    if given.json:
        given.json.write_text(json.dumps([asdict(row) for row in rows]))


if __name__ == "__main__":
    main()
