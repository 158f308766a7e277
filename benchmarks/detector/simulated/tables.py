"""Tables and bars of the simulated runs: pooled by kind, before and now in one cell."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from scipy.stats import chi2

from benchmarks.detector import scoring
from benchmarks.detector.grpo_simulation import KINDS
from benchmarks.detector.simulated.rows import Row

# Most false stops per 1,000 steps: by signals alone, and verified (issue "The verdict").
BARS = {"steady": 0.02, "hard": 0.1}
VERIFIED = {"steady": 0.01, "hard": 0.01}


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
    completions: float
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
        sum(row.completions for row in rows) / len(rows),
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
    ("completions a run", lambda n: f"{n.completions:.0f}"),
)
POSITIVE: tuple[tuple[str, Cell], ...] = (
    ("suspected", lambda n: f"{n.suspected:.0%}"),
    ("stopped", lambda n: f"{n.stopped:.0%}"),
    ("delay: suspected", lambda n: _steps(n.delay)),
    ("delay: stopped", lambda n: _steps(n.stop_delay)),
    ("oracle", lambda n: _steps(n.bound)),
    ("ratio", lambda n: "–" if math.isinf(n.ratio) else f"{n.ratio:.1f}"),
    ("early stops", lambda n: f"{n.stops}"),
    ("completions a run", lambda n: f"{n.completions:.0f}"),
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


def bars(rows: Sequence[Row], most: Mapping[str, float] = BARS) -> str:
    """Return whether the bars of the issue are met at logging_steps 1, a line each."""
    fine, lines, groups = [row for row in rows if row.every == 1], [], pools()
    for group, bar in most.items():
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
