"""How often is a healthy run stopped, how soon is a transition seen, against a bound that knows all?

    python -m benchmarks.detector.simulated [--quick] [--base SEED] [--runs N] [--healthy N]
        [--every 1 5 10 25] [--kinds NAME...] [--jobs N] [--json FILE] [--before FILE]

Runs of the second generator (grpo_simulation: how GRPO makes its numbers). Seeds from 500000 are this
script's held-out ones; develop with another --base. A row is a kind of run, or several pooled:
  false stops      stops of healthy runs, and of positive ones more than 20 steps before the truth, per
                   1,000 steps watched [95 % interval, exact Poisson]
  suspected        share of runs with a suspicion; of positive ones not more than 20 steps early
  looks            suspicions per 1,000 steps: how often a verification would be asked for
  delay            median steps from the truth to the suspicion, and to the stop; never: more than half are not
  oracle           median delay of a CUSUM that knows everything but the time (grpo_simulation/oracle.py)
  ratio            median delay of suspicion / median delay of the oracle
`--before` takes the JSON of an earlier detector on the same seeds and shows its numbers as `before -> now`.
"""

import argparse
import json
import math
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from scipy.stats import chi2

from benchmarks.detector import scoring
from benchmarks.detector.grpo_simulation import KINDS, make, oracle
from benchmarks.detector.scoring import Case, Outcome

Judge = Callable[[Case], Outcome]
BARS = {"steady": 0.02, "hard": 0.1}  # false stops per 1,000 steps, signals alone


@dataclass(frozen=True)
class Row:
    """What happened to one run. Steps; `bound` is the oracle's delay. None: never."""

    kind: str
    seed: int
    every: int
    watched: int
    stop: int | None
    early: bool
    suspected: int | None
    looks: int
    delay: float
    stop_delay: float
    bound: float
    points: int
    seconds: float


def judged(work: tuple[str, int, int], judge: Judge) -> Row:
    """Return what a detector does with one run: (kind, seed, logging_steps)."""
    name, seed, every = work
    run = make(name, seed)
    case = run.case(every)
    outcome = judge(case)
    truth = run.truth
    sight = scoring.suspected_at(case, outcome)
    found = sight if truth is not None else outcome.watch
    positive = truth is not None
    return Row(
        name, seed, every, outcome.points * every, outcome.stop,
        scoring.is_early(case, outcome), found, len(outcome.suspicions),
        max(0, sight - truth) if sight is not None and truth is not None else math.inf,
        max(0.0, scoring.delay(case, outcome)) if positive else math.inf,
        oracle.delay(run, every) if positive else math.nan,
        outcome.points, outcome.seconds,
    )  # fmt: skip


def all_judged(
    kinds: Iterable[str], base: int, counts: tuple[int, int], every: Sequence[int],
    judge: Judge = scoring.cusp, jobs: int = 1,
) -> list[Row]:  # fmt: skip
    """Return the rows of all kinds; `counts` = (seeds of a positive kind, of a healthy one)."""
    work = [
        (name, base + j, k)
        for name in kinds
        for j in range(counts[0] if KINDS[name].group == "positive" else counts[1])
        for k in every
    ]
    if jobs == 1:
        return [judged(one, judge) for one in work]
    with ProcessPoolExecutor(jobs) as pool:
        return list(pool.map(partial(judged, judge=judge), work, chunksize=4))


# ---------------------------------------------------------------------------------------- tables


@dataclass(frozen=True)
class Numbers:
    """One line of the table."""

    runs: int
    stops: int
    rate: float
    low: float
    high: float
    suspected: float
    looks: float
    stopped: float
    delay: float
    stop_delay: float
    bound: float

    @property
    def ratio(self) -> float:
        """Median delay of the suspicion in units of the oracle's."""
        return self.delay / max(self.bound, 1.0)


def interval(count: int, exposure: float) -> tuple[float, float]:
    """Return the exact 95 % interval of a Poisson rate.

    >>> low, high = interval(0, 100.0)
    >>> low, round(high, 4)
    (0.0, 0.0369)
    """
    low = chi2.ppf(0.025, 2 * count) / 2 if count else 0.0
    return float(low) / exposure, float(chi2.ppf(0.975, 2 * count + 2)) / 2 / exposure


def numbers(rows: Sequence[Row]) -> Numbers:
    """Return the scores of some runs."""
    false = sum(_is_false(row) for row in rows)
    exposure = sum(_healthy_steps(row) for row in rows) / 1000
    low, high = interval(false, exposure)
    stopped = [row.stop is not None and not row.early for row in rows]
    return Numbers(
        len(rows), false, false / exposure, low, high,
        sum(row.suspected is not None for row in rows) / len(rows),
        1000 * sum(row.looks for row in rows) / sum(row.watched for row in rows),
        sum(stopped) / len(rows),
        scoring.quantile([row.delay for row in rows], 0.5),
        scoring.quantile([row.stop_delay for row in rows], 0.5),
        scoring.quantile([row.bound for row in rows], 0.5),
    )  # fmt: skip


def _is_false(row: Row) -> bool:
    return row.early or (row.stop is not None and KINDS[row.kind].truth is None)


def _healthy_steps(row: Row) -> int:
    """Return the steps watched in which every stop is a false one."""
    truth = KINDS[row.kind].truth
    return row.watched if truth is None else min(row.watched, max(truth - scoring.EARLY, 1))


def pools() -> dict[str, list[str]]:
    """Return the lines of the tables: each kind, and several pooled."""
    healthy = {n: [n] for n, k in KINDS.items() if k.group != "positive"}
    groups = {g: [n for n, k in KINDS.items() if k.group == g] for g in ("steady", "hard")}
    positive = {n: [n] for n, k in KINDS.items() if k.group == "positive"}
    sizes = {
        f"all {size}": [n for n, k in KINDS.items() if k.size == size]
        for size in ("mild", "medium", "strong")
    }
    return {
        **healthy, "all steady": groups["steady"], "all hard": groups["hard"], **positive, **sizes,
        "medium and strong": [*sizes["all medium"], *sizes["all strong"]],
        "sharp rises": [n for n in KINDS if n.startswith("sharp")],
    }  # fmt: skip


def tables(rows: Sequence[Row], before: Sequence[Row] = ()) -> str:
    """Return two tables for each logging interval: healthy kinds and transitions."""
    text = []
    for k in sorted({row.every for row in rows}):
        now, old = ([r for r in part if r.every == k] for part in (rows, before))
        found = {
            name: (numbers(part), _numbers_or_none([r for r in old if r.kind in kinds]))
            for name, kinds in pools().items()
            if (part := [r for r in now if r.kind in kinds])
        }
        text.append(f"### logging_steps {k}\n")
        text.append(_table(HEALTHY, found, positive=False))
        text.append(_table(POSITIVE, found, positive=True))
    return "\n".join(text)


def _numbers_or_none(rows: Sequence[Row]) -> Numbers | None:
    return numbers(rows) if rows else None


Cell = Callable[[Numbers], str]
HEALTHY: tuple[tuple[str, Cell], ...] = (
    ("false stops", lambda n: f"{n.stops}/{n.runs}"),
    ("per 1,000 steps", lambda n: f"{n.rate:.3f} [{n.low:.3f}, {n.high:.3f}]"),
    ("suspected", lambda n: f"{n.suspected:.0%}"),
    ("looks per 1,000", lambda n: f"{n.looks:.2f}"),
)
POSITIVE: tuple[tuple[str, Cell], ...] = (
    ("suspected", lambda n: f"{n.suspected:.0%}"),
    ("stopped", lambda n: f"{n.stopped:.0%}"),
    ("delay: suspected", lambda n: _steps(n.delay)),
    ("delay: stopped", lambda n: _steps(n.stop_delay)),
    ("oracle", lambda n: _steps(n.bound)),
    ("ratio", lambda n: "–" if math.isinf(n.ratio) else f"{n.ratio:.1f}"),
    ("early stops", lambda n: f"{n.stops}"),
)
SAME_OF_BOTH = ("oracle",)


def _table(
    columns: Sequence[tuple[str, Cell]], found: dict[str, tuple[Numbers, Numbers | None]],
    positive: bool,
) -> str:  # fmt: skip
    groups = pools()
    rows = [
        [name, f"{now.runs}", *(_cell(title, cell, now, old) for title, cell in columns)]
        for name, (now, old) in found.items()
        if (KINDS[groups[name][0]].group == "positive") == positive
    ]
    return (
        scoring.markdown(("kind", "runs", *(title for title, _ in columns)), rows) if rows else ""
    )


def _cell(title: str, cell: Cell, now: Numbers, old: Numbers | None) -> str:
    if old is None or title in SAME_OF_BOTH or cell(old) == cell(now):
        return cell(now)
    return f"{cell(old)} -> {cell(now)}"


def _steps(value: float) -> str:
    return "never" if math.isinf(value) else f"{value:.0f}"


def bars(rows: Sequence[Row]) -> str:
    """Return whether the bars of the issue are met at logging_steps 1, a line each."""
    fine, lines, groups = [row for row in rows if row.every == 1], [], pools()
    for group, bar in BARS.items():
        if part := [r for r in fine if r.kind in groups[f"all {group}"]]:
            n = numbers(part)
            lines.append((n.rate <= bar, f"false stops in {group} runs {n.rate:.3f} (bar {bar})"))
    for name in (*groups["medium and strong"], "medium and strong"):
        if part := [r for r in fine if r.kind in groups[name]]:
            n = numbers(part)
            lines.append((n.suspected >= 0.95, f"{name}: suspected {n.suspected:.0%} (bar 95 %)"))
            lines.append((n.ratio <= 3, f"{name}: delay {n.ratio:.1f} of the oracle's (bar 3)"))
    for name in groups["sharp rises"]:
        if part := [r for r in fine if r.kind == name]:
            n = numbers(part)
            lines.append((n.delay <= 20, f"{name}: suspected after {_steps(n.delay)} (bar 20)"))
            lines.append(
                (n.stop_delay <= 30, f"{name}: stopped after {_steps(n.stop_delay)} (bar 30)")
            )
    return "\n".join(f"- {'met' if met else 'MISSED'}: {text}" for met, text in lines)


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
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--before", type=Path, help="JSON of an earlier detector, same seeds")
    given = parser.parse_args()
    counts, every = (given.runs, given.healthy), given.every
    if given.quick:
        counts, every = (4, 4), [1, 10]
    judge = partial(scoring.cusp, preset=given.preset)
    rows = all_judged(given.kinds or KINDS, given.base, counts, every, judge, given.jobs)
    before = read(given.before) if given.before else []
    wanted = {(r.kind, r.seed, r.every) for r in rows}
    print(tables(rows, [r for r in before if (r.kind, r.seed, r.every) in wanted]))
    print(bars(rows))
    us = 1e6 * sum(r.seconds for r in rows) / max(sum(r.points for r in rows), 1)
    print(f"\n{us:.0f} us a point")
    if given.json:
        given.json.write_text(json.dumps([asdict(row) for row in rows]))


def read(file: Path) -> list[Row]:
    """Return the rows of an earlier measurement."""
    return [Row(**row) for row in json.loads(file.read_text())]


if __name__ == "__main__":
    main()
