"""What a user could use instead of Cusp's detector, all in one table, scored alike.

    python -m benchmarks.detector.baselines [--quick] [--json FILE] [--on synthetic real tiny zoo]
                                   [--methods NAME...] [--calibration N] [--null N --pos N]

Every method sees the same points as Cusp, one after another, and may stop the run after any of them.
It reads format and length; accuracy too where it is logged (real, tiny, zoo). Each is run twice:
  default   the threshold people use (in the table's name)
  best      the threshold at which 1 % of synthetic calibration nulls (seeds 700000.., never tested on)
            are stopped; for ADWIN the largest of five deltas that stays within it
Cusp runs with its shipped preset; nothing of it is fitted here. Baselines are written from the papers
(ours, no code of others): univariate methods watch each metric's goodness and the worst one counts; a
change counts only against the good direction. They date by their own rule and keep the last checkpoint
at or before that date. Ranges of rewards, unknown in real logs, are told to the baselines (a help).

PELT: least squares over format and length in noise units, re-run every 10 points on the last 300 by
ruptures' KernelCPD (linear kernel: the same cost and the same exact optimum as Pelt(model="l2", jump=1),
which takes 0.5 s at 500 points and 12 s at 2,000 and so cannot be re-run online). FOCuS: its statistic
(the greatest CUSUM over all start points), computed directly over the last 2,000 points instead of by
its pruned recursion: same value, more work. Otava (E-divisive with a t-test) pins another numpy, so it
runs in an environment of its own, named by CUSP_OTAVA_PYTHON (otava_worker.py); without it, it is left out.

References: Bifet, Gavalda 2007 (ADWIN); Page 1954, Hinkley 1971; Killick, Fearnhead, Eckley 2012 (PELT);
Adams, MacKay 2007 (BOCPD); Romano, Eckley, Fearnhead, Rigaill 2023 (FOCuS).
"""

import argparse
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import ruptures

from benchmarks.detector import scoring
from benchmarks.detector.real import LOGS, Label, held_out, labels
from benchmarks.detector.real import read as read_log
from benchmarks.detector.scoring import Case, Outcome
from benchmarks.detector.synthetic import generator
from benchmarks.zoo import zoo
from monitor.detector import RewardRange

HERE = Path(__file__).resolve().parent
TINY = HERE.parents[2] / "shared/data/tiny_runs"
OTAVA = "CUSP_OTAVA_PYTHON"
WARM = 30  # points before any baseline may speak
Said = tuple[float, int]  # evidence now, index of the last point before the change


class Method(Protocol):
    """One method on one run: goodness in [0, 1] and stabilised values of each metric, point by point."""

    def update(self, good: np.ndarray, stable: np.ndarray) -> Said:
        """Take the next point; return the evidence and the dated index."""


# ----------------------------------------------------------------------------------- baselines


class Patience:
    """Early stopping: points since the running mean of the rewards (EMA .1) was best by .002."""

    def __init__(self) -> None:
        self.mean, self.best, self.at, self.now = math.nan, -math.inf, 0, -1

    def update(self, good: np.ndarray, stable: np.ndarray) -> Said:
        self.now += 1
        reward = np.nanmean(np.delete(good, 1)) if np.isfinite(np.delete(good, 1)).any() else np.nan
        if math.isfinite(reward):
            old = reward if math.isnan(self.mean) else self.mean
            self.mean = old + 0.1 * (reward - old)
            if self.mean > self.best + 0.002:
                self.best, self.at = self.mean, self.now
        return float(self.now - self.at), self.at


class EmaDrop:
    """The dashboard habit: how far the running mean (EMA .1) of any metric is off its best."""

    def __init__(self) -> None:
        self.mean = self.best = self.at = None
        self.now = -1

    def update(self, good: np.ndarray, stable: np.ndarray) -> Said:
        self.now += 1
        if self.mean is None:
            self.mean, self.at = good.copy(), np.zeros(len(good), int)
            self.best = np.full(len(good), -np.inf)
        fresh = np.where(np.isnan(self.mean), good, self.mean)
        self.mean = np.where(np.isfinite(good), fresh + 0.1 * (good - fresh), fresh)
        if self.now < WARM:
            return 0.0, 0
        better = ~(self.mean <= self.best) & np.isfinite(self.mean)
        self.best, self.at = (
            np.where(better, self.mean, self.best),
            np.where(better, self.now, self.at),
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            drop = np.nan_to_num(1 - self.mean / self.best, nan=0.0, posinf=0.0, neginf=0.0)
        k = int(np.argmax(drop))
        return float(drop[k]), int(self.at[k])


class PageHinkley:
    """Cumulated shortfall below the mean so far, delta .005, of any metric."""

    def __init__(self) -> None:
        self.total = self.count = self.sum = self.at = None
        self.now = -1

    def update(self, good: np.ndarray, stable: np.ndarray) -> Said:
        self.now += 1
        if self.sum is None:
            self.total, self.count = np.zeros(len(good)), np.zeros(len(good))
            self.sum, self.at = np.zeros(len(good)), np.zeros(len(good), int)
        there = np.isfinite(good)
        self.total, self.count = self.total + np.where(there, good, 0), self.count + there
        short = self.total / np.maximum(self.count, 1) - np.where(there, good, 0) - 0.005
        if self.now < WARM:
            return 0.0, 0
        self.sum = np.maximum(0, 0.9999 * self.sum + np.where(there, short, 0))
        self.at = np.where(self.sum == 0, self.now, self.at)
        k = int(np.argmax(self.sum))
        return float(self.sum[k]), int(self.at[k])


class Adwin:
    """Adaptive window (exponential histogram, 5 buckets a row); fires when a cut goes the bad way."""

    def __init__(self, delta: float) -> None:
        self.delta, self.windows, self.now = delta, None, -1

    def update(self, good: np.ndarray, stable: np.ndarray) -> Said:
        self.now += 1
        if self.windows is None:
            self.windows = [_Window(self.delta) for _ in good]
        cut = None
        for window, value in zip(self.windows, good.tolist(), strict=True):
            if value == value and window.add(value):
                cut = self.now - window.width
        return (0.0, 0) if cut is None else (1.0, cut)


class _Window:
    def __init__(self, delta: float) -> None:
        self.delta, self.rows, self.width, self.seen = delta, [[]], 0, 0
        self.total = self.squares = 0.0  # of deviations from 0; the variance is taken from both

    def add(self, value: float) -> bool:
        """Take a value; return whether older ones were dropped because the mean fell."""
        self.rows[0].append((1, value))
        self.width, self.seen = self.width + 1, self.seen + 1
        self.total, self.squares = self.total + value, self.squares + value * value
        for level, row in enumerate(self.rows):
            if len(row) <= 5:
                break
            (n, a), (m, b) = row.pop(0), row.pop(0)
            if level + 1 == len(self.rows):
                self.rows.append([])
            self.rows[level + 1].append((n + m, a + b))
        return self.seen % 32 == 0 and self.width > 10 and self._shrink()

    def _shrink(self) -> bool:
        fell, again = False, True
        while again and self.width > 10:
            again, mean = False, self.total / self.width
            variance = max(self.squares / self.width - mean * mean, 0.0)
            level = math.log(2 * math.log(max(self.width, 2)) / self.delta)
            n, left = 0, 0.0
            for count, value in (b for row in reversed(self.rows) for b in row):
                n, left = n + count, left + value
                rest = self.width - n
                if n < 5 or rest < 5:
                    continue
                m = 1 / (1 / (n - 4) + 1 / (rest - 4))
                limit = math.sqrt(2 / m * variance * level) + 2 / (3 * m) * level
                difference = (self.total - left) / rest - left / n
                if abs(difference) > limit:
                    fell, again = fell or difference < 0, True
                    self._drop()
                    break
        return fell

    def _drop(self) -> None:
        count, value = self.rows[-1].pop(0)
        mean = self.squares / self.width
        self.width, self.total = self.width - count, self.total - value
        self.squares = max(self.squares - count * mean, 0.0)
        while len(self.rows) > 1 and not self.rows[-1]:
            self.rows.pop()


class _Scaled:
    """Base of the methods that need noise units: sd from second differences of the first 40 points."""

    def __init__(self) -> None:
        self.values: list[np.ndarray] = []
        self.sd: np.ndarray | None = None

    def push(self, stable: np.ndarray) -> bool:
        """Remember a point (a missing value repeats the last); return whether the noise is known."""
        last = self.values[-1] if self.values else np.zeros(len(stable))
        self.values.append(np.where(np.isfinite(stable), stable, last))
        if self.sd is None and len(self.values) >= 40:
            second = np.diff(np.array(self.values), 2, axis=0)
            self.sd = np.maximum(1.4826 * np.median(np.abs(second), 0) / math.sqrt(6), 0.01)
        return self.sd is not None


class PeltRerun(_Scaled):
    """Least-squares segmentation re-run every 10 points; evidence of its worst bad change."""

    said: Said = (0.0, 0)

    def update(self, good: np.ndarray, stable: np.ndarray) -> Said:
        n = len(self.values) + 1
        if not self.push(stable) or n < 60:
            return 0.0, 0
        if n % 10 == 0:
            window = np.array(self.values[-300:]) / self.sd
            model = ruptures.KernelCPD(kernel="linear", min_size=8).fit(window)
            ends = [0, *model.predict(pen=2 * window.shape[1] * math.log(len(window)))]
            self.said = max(
                (_bad(window, *ends[i : i + 3], n) for i in range(len(ends) - 2)),
                default=(0.0, 0),
            )
        return self.said


def _bad(x: np.ndarray, a: int, b: int, c: int, n: int) -> Said:
    z = (x[a:b].mean(0) - x[b:c].mean(0)) * math.sqrt((b - a) * (c - b) / (c - a))
    score = float((np.maximum(z, 0) ** 2).sum()) if z.max() > -z.min() else 0.0
    return score, n - len(x) + b - 1


class Focus(_Scaled):
    """The greatest one-sided CUSUM of any metric over all start points of the last 2,000."""

    def update(self, good: np.ndarray, stable: np.ndarray) -> Said:
        if not self.push(stable):
            return 0.0, 0
        if len(self.values) == 40:
            self.sums = np.zeros((4096, len(stable)))
            self.sums[1:41] = np.cumsum(np.array(self.values) / self.sd, 0)
        n = len(self.values)
        if n + 1 > len(self.sums):
            self.sums = np.concatenate([self.sums, np.zeros_like(self.sums)])
        self.sums[n] = self.sums[n - 1] + self.values[-1] / self.sd
        first = max(0, n - 2000)
        at = np.arange(first + 1, n)
        before = (self.sums[at] - self.sums[first]) / (at - first)[:, None]
        after = (self.sums[n] - self.sums[at]) / (n - at)[:, None]
        z = np.maximum(before - after, 0) * np.sqrt((at - first) * (n - at) / (n - first))[:, None]
        k = int(np.argmax(z.max(1)))
        return float(z[k].max() ** 2), int(at[k]) - 1


class Bocpd(_Scaled):
    """Run-length posterior (normal-inverse-gamma, hazard 1/250); evidence that a bad segment began."""

    def update(self, good: np.ndarray, stable: np.ndarray) -> Said:
        if not self.push(stable):
            return 0.0, 0
        n, x = len(self.values), self.values[-1] / self.sd
        if n == 40:
            self.log_p, k = np.zeros(1), len(x)
            self.mean, self.kappa = x[None].copy(), np.full(1, 0.05)
            self.alpha, self.beta = np.full(1, 1.0), np.ones((1, k))
            self.lg = np.array([math.lgamma(i / 2) for i in range(1, 2200)])
        scale = self.beta * ((self.kappa + 1) / (self.alpha * self.kappa))[:, None]
        freedom = 2 * self.alpha
        i = (freedom - 1).astype(int)
        log = (self.lg[i + 1] - self.lg[i])[:, None] - 0.5 * np.log(
            np.pi * freedom[:, None] * scale
        )
        t = (x - self.mean) ** 2 / (freedom[:, None] * scale)
        grown = self.log_p + (log - (freedom[:, None] + 1) / 2 * np.log1p(t)).sum(1)
        new = np.concatenate(
            [[np.logaddexp.reduce(grown) - math.log(250)], grown + math.log(249 / 250)]
        )
        self.log_p = (new - np.logaddexp.reduce(new))[:400]
        self._learn(x)
        return self._evidence(n)

    def _learn(self, x: np.ndarray) -> None:
        k = self.kappa[:, None]
        beta = self.beta + k * (x - self.mean) ** 2 / (2 * (k + 1))
        mean = (k * self.mean + x) / (k + 1)
        self.mean = np.vstack([x[None], mean])[:400]
        self.beta = np.vstack([np.ones((1, len(x))), beta])[:400]
        self.kappa = np.concatenate([[0.05], self.kappa + 1])[:400]
        self.alpha = np.concatenate([[1.0], self.alpha + 0.5])[:400]

    def _evidence(self, n: int) -> Said:
        p = np.exp(self.log_p)
        run = int(p.argmax())
        if run < 3 or run > 200 or n - run < 40:
            return 0.0, 0
        recent = np.array(self.values[max(0, n - run - 60) :]) / self.sd
        before, after = recent[:-run], recent[-run:]
        z = (before.mean(0) - after.mean(0)) / (before.std(0) + 0.3) * math.sqrt(run)
        if z.max() < -z.min():
            return 0.0, 0
        sure = -math.log(max(1e-16, 1 - min(1.0, float(p[3:201].sum()))))
        return sure + float(z.max()), n - run - 1


@dataclass(frozen=True)
class Baseline:
    """A method, the threshold people use, and (ADWIN) other settings to choose the best from."""

    name: str
    make: Callable[[], Method] | None
    default: float
    default_words: str

    def follow(self, good: np.ndarray, stable: np.ndarray) -> "Path_":
        """Run the method over a whole run; Otava in its own interpreter."""
        return otava(good) if self.make is None else follow(self.make, good, stable)


ADWIN_DELTAS = (2e-3, 1e-4, 1e-6, 1e-9, 1e-14)
BASELINES = (
    Baseline("patience", Patience, 100, "100 points"),
    Baseline("EMA threshold", EmaDrop, 0.1, "10 % off the best"),
    Baseline("Page-Hinkley", PageHinkley, 50, "lambda 50"),
    Baseline("PELT re-run", PeltRerun, 1e-9, "any bad change, penalty 2 d log n"),
    Baseline("BOCPD", Bocpd, 12, "evidence 12"),
    Baseline("FOCuS", Focus, 25, "z 5"),
    Baseline("Otava", None, 3.0, "p 0.001"),
    *(Baseline("ADWIN", lambda d=d: Adwin(d), 1.0, f"delta {d:g}") for d in ADWIN_DELTAS),
)


# ------------------------------------------------------------------------------ running a method


@dataclass(frozen=True)
class Path_:
    """The points at which a method's evidence was greater than ever before: enough for any threshold."""

    records: tuple[tuple[int, float, int], ...]  # index, evidence, dated index
    seconds: float
    points: int

    @property
    def top(self) -> float:
        return self.records[-1][1] if self.records else 0.0


def follow(make: Callable[[], Method], good: np.ndarray, stable: np.ndarray) -> Path_:
    """Run a method over a whole run."""
    method, records, top = make(), [], 0.0
    begin = time.process_time()
    for i in range(len(good)):
        score, dated = method.update(good[i], stable[i])
        if score > top:
            top = score
            records.append((i, score, max(dated, 0)))
    return Path_(tuple(records), time.process_time() - begin, len(good))


@cache
def _otava() -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [os.environ[OTAVA], "-W", "ignore", str(HERE / "otava_worker.py")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def otava(good: np.ndarray) -> Path_:
    """Ask Otava about a whole run; a missing value repeats the last."""
    filled = good.copy()
    for i in range(len(filled)):
        filled[i] = np.where(np.isfinite(filled[i]), filled[i], filled[i - 1] if i else 0.0)
    process = _otava()
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("Otava's process has no pipes")
    process.stdin.write(json.dumps(filled.T.tolist()) + "\n")
    process.stdin.flush()
    said = json.loads(process.stdout.readline())
    records = tuple((i, score, max(dated, 0)) for i, score, dated in said["records"])
    return Path_(records, said["seconds"], len(good))


def outcome(case: Case, path: Path_, threshold: float) -> Outcome:
    """Return what the method does at a threshold."""
    per_point = path.seconds / max(path.points, 1)
    for index, score, dated in path.records:
        if score >= threshold:
            stop, step = case.points[index][0], case.points[dated][0]
            return Outcome(stop, step, step, step, step, None, index + 1, per_point * (index + 1))
    return Outcome(points=path.points, seconds=path.seconds)


def columns(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Return goodness in [0, 1] and variance-stabilised values: format, length, accuracy if logged."""
    format_, length, accuracy = (
        np.array([metrics.get(name, np.nan) for _, metrics in case.points], dtype=float)
        for name in ("format_reward", "completion_length", "accuracy_reward")
    )
    shares = [_share(format_, case, "format_reward")]
    if np.isfinite(accuracy).any():
        shares.append(_share(accuracy, case, "accuracy_reward"))
    known = length[np.isfinite(length)]
    first = known[0] if len(known) else 1.0
    relative = 1 - np.minimum(length / max(first, 1e-9), 3) / 3
    good = np.column_stack([shares[0], relative, *shares[1:]])
    arc = [np.arcsin(np.sqrt(np.clip(s, 0, 1))) for s in shares]
    return good, np.column_stack([arc[0], -np.log(np.maximum(length, 1e-9)), *arc[1:]])


def _share(values: np.ndarray, case: Case, name: str) -> np.ndarray:
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    if name in case.rewards:
        low, high = case.rewards[name].low, case.rewards[name].high
    elif low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    return (values - low) / max(high - low, 1e-9)


# -------------------------------------------------------------------------------------- the cases


def synthetic(base: int, null: int, positive: int) -> list[Case]:
    """Return cases of the study's generator, `null` of each null kind and `positive` of the others."""
    gen, cases = generator(), []
    for kind in gen.KINDS:
        for j in range(positive if kind in gen.POSITIVE else null):
            run = gen.make_run(kind, base + j)
            rows = zip(run["steps"], run["format"], run["length"], strict=True)
            points = [
                (int(s), {"format_reward": float(f), "completion_length": float(n)})
                for s, f, n in rows
            ]
            name = (
                "positive" if kind in gen.POSITIVE else "hard" if kind in gen.HARD_NULL else "null"
            )
            rewards = {"format_reward": RewardRange(0, run["fmax"])}
            cases.append(
                Case(
                    f"{kind}_{j}", points, name, run["truth"]["transition"],
                    completions=run["n"], rewards=rewards,
                )
            )  # fmt: skip
    return cases


def real() -> list[Case]:
    """Return the labelled logs of other people: kinds `no`, `dated`, and others that only count by score."""
    known, scores = labels(LOGS / "ANNOTATIONS.csv"), held_out(LOGS / "EVALS.csv")
    cases = []
    for path in sorted((LOGS / "runs").glob("*.csv")):
        label = known.get(path.stem, Label())
        dated = label.sure and label.dates
        kind = "no" if label.kind == "no" else "dated" if dated else "other"
        points = [(s.step, s.metrics) for s in read_log(path)]
        has_format = any("format_reward" in m for _, m in points)
        found = scores.get(path.stem, {}) if has_format else {}
        cases.append(
            Case(
                path.stem, points, kind, labels=label.dates, selection=found, report=found,
                tolerance=label.tolerance,
            )
        )  # fmt: skip
    return cases


def tiny() -> list[Case]:
    """Return the study's tiny GRPO-LoRA runs; `lost` and `healthy` by their held-out scores."""
    from benchmarks.detector.tiny import read

    cases = []
    for path in sorted(TINY.glob("*.csv")):
        if "repeat" not in path.stem:
            found = json.loads(path.with_suffix(".summary.json").read_text())["eval"]
            held = {int(e["step"]): float(e["acc"]) for e in found}
            lost = max(held.values()) - held[max(held)]
            kind = "lost" if lost >= 0.10 else "healthy" if lost < 0.05 else "between"
            points = [(s.step, s.metrics) for s in read(path)]
            cases.append(
                Case(
                    path.stem, points, kind, completions=48, completion_limit=64,
                    selection=held, report=held,
                )
            )  # fmt: skip
    return cases


# ------------------------------------------------------------------------------------------ main


def calibrated(paths: Sequence[Path_]) -> float:
    """Return the least threshold that stops at most 1 % of the calibration nulls."""
    tops = sorted(path.top for path in paths)
    return float(np.nextafter(tops[math.ceil(0.99 * len(tops)) - 1], np.inf))


Settings = list[tuple[str, Baseline, float]]


def settings(baselines: Sequence[Baseline], nulls: Sequence[Case]) -> Settings:
    """Return every baseline at its default and at its best threshold."""
    chosen: Settings = []
    ready = [columns(case) for case in nulls]
    best_delta: tuple[str, Baseline, float] | None = None
    for baseline in baselines:
        print(
            f"calibrating {baseline.name} ({baseline.default_words})", file=sys.stderr, flush=True
        )
        name = f"{baseline.name}, default ({baseline.default_words})"
        if baseline.name != "ADWIN":
            level = calibrated([baseline.follow(*pair) for pair in ready])
            chosen.append((name, baseline, baseline.default))
            chosen.append((f"{baseline.name}, best ({level:.3g})", baseline, level))
            continue
        if baseline.default_words == f"delta {ADWIN_DELTAS[0]:g}":
            chosen.append((name, baseline, 1.0))
        if best_delta is None:
            stops = sum(baseline.follow(*pair).top >= 1 for pair in ready)
            last = baseline.default_words == f"delta {ADWIN_DELTAS[-1]:g}"
            if stops <= 0.01 * len(ready) or last:
                best_delta = (f"ADWIN, best ({baseline.default_words})", baseline, 1.0)
    return [*chosen, best_delta] if best_delta else chosen


def judged(cases: Sequence[Case], chosen: Settings) -> list[tuple[str, list[Outcome]]]:
    """Return the outcomes of every setting, of Cusp, and of never stopping."""
    ready = [columns(case) for case in cases]
    paths: dict[int, list[Path_]] = {}
    for _, baseline, _ in chosen:
        if id(baseline) not in paths:
            paths[id(baseline)] = [baseline.follow(*pair) for pair in ready]
    named = [
        (
            name,
            [outcome(c, p, level) for c, p in zip(cases, paths[id(baseline)], strict=True)],
        )
        for name, baseline, level in chosen
    ]
    print("Cusp", file=sys.stderr, flush=True)
    never = [Outcome(points=len(case.points)) for case in cases]
    return [("Cusp", [scoring.cusp(case) for case in cases]), *named, ("no stop", never)]


def main() -> None:
    """Print the tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few synthetic runs")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--on", nargs="*", default=["synthetic", "real", "tiny", "zoo"])
    parser.add_argument("--methods", nargs="*", help="only these baselines")
    parser.add_argument("--calibration", type=int, default=25, help="of each of 12 null kinds")
    parser.add_argument("--null", type=int, default=20)
    parser.add_argument("--pos", type=int, default=15)
    given = parser.parse_args()
    few = (3, 2, 2) if given.quick else (given.calibration, given.null, given.pos)
    nulls = [c for c in synthetic(700_000, few[0], 0) if c.kind == "null"]
    wanted = [
        b
        for b in BASELINES
        if (not given.methods or b.name in given.methods) and (b.make or os.environ.get(OTAVA))
    ]
    chosen = settings(wanted, nulls)
    found: dict[str, Any] = {}
    sets: dict[str, tuple[Callable[[], list[Case]], Callable[..., str]]] = {
        "synthetic": (lambda: synthetic(920_000, *few[1:]), scoring.synthetic_table),
        "real": (real, scoring.label_table),
        "tiny": (tiny, scoring.regret_table),
        "zoo": (zoo.load, scoring.regret_table),
    }
    for name in given.on:
        make, table = sets[name]
        cases = make()
        if not cases:
            continue
        named = judged(cases, chosen)
        print(f"\n### {name}: {len(cases)} runs\n\n{table(named, cases)}", flush=True)
        found[name] = json.loads(scoring.as_json(cases, dict(named)))
    if given.json:
        given.json.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
