"""How exactly is the rise of the format reward dated, its middle (onset) and its end (saturation)?

    python -m benchmarks.detector.onset [--quick] [--json FILE] [--base SEED] [--runs N]

Seeded synthetic runs with one sigmoid rise: 120 to 600 steps, 10-90 % within 4 to 110 of them, 4 to
96 completions a step, shares or a signed reward (-1 to 4), noise that lasts or not, rises of a tenth
of the range and more. All see the whole run and only it; a run whose rise is not over by its end is
left out. error = dated minus true step: median and 90 % quantile of its size, and its median (bias).
  Cusp             the change points `onset` and `saturation` of the verdict at the end
  ruptures         KernelCPD(linear) told that there is one change (onset only)
  half the height  the first running mean of 10 half (90 %) of the way from the first to the last 24
"""

import argparse
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import ruptures

from monitor.detector import Detector, RunShape, Sample
from monitor.detector.signal.history import Array

TO_NINETY = math.log(9)
_SETTLED = 24
Dates = Mapping[str, float]


@dataclass(frozen=True)
class Rise:
    """One run: format reward and length by step, completions per step, and its true dates."""

    format: Array
    length: Array
    completions: int
    truth: Dates


def make(seed: int) -> Rise:
    """Return a run with one rise."""
    rng = np.random.default_rng([20261121, seed])
    points = int(rng.integers(120, 600))
    step = np.arange(1, points + 1)
    middle, width = rng.uniform(10, 0.6 * points), math.exp(rng.uniform(0, math.log(25)))
    low = rng.uniform(0, 0.6)
    high = rng.uniform(min(low + 0.1, 0.95), 1.0)
    level = low + (high - low) / (1 + np.exp(-(step - middle) / width))
    completions, memory = int(rng.choice([4, 8, 16, 48, 96])), float(rng.choice([0, 0.3, 0.6]))
    drift, shocks = np.zeros(points), rng.normal(0, rng.uniform(0, 0.03), points)
    for i in range(1, points):
        drift[i] = memory * drift[i - 1] + shocks[i]
    reward = rng.binomial(completions, np.clip(level + drift, 0, 1)) / completions
    if rng.random() < 0.4:
        reward = 5 * reward - 1
    length = np.exp(6 - 0.4 * step / points + rng.normal(0, 0.1, points))
    dates = {"onset": middle, "saturation": middle + TO_NINETY * width}
    return Rise(reward, length, completions, dates)


def cusp(run: Rise) -> Dates:
    """Return what the detector dates, with its interval as `..._low` and `..._high`."""
    detector = Detector(RunShape(completions_per_point=run.completions))
    for i, (reward, length) in enumerate(
        zip(run.format.tolist(), run.length.tolist(), strict=True)
    ):
        metrics = {"format_reward": reward, "completion_length": length}
        verdict = detector.update(Sample(i + 1, metrics))
    found: dict[str, float] = {}
    for point in verdict.change_points:
        if point.kind in ("onset", "saturation"):
            found |= {f"{point.kind}_low": point.low, f"{point.kind}_high": point.high}
            found[point.kind] = point.step
    return found


def kernel(run: Rise) -> Dates:
    """Return the one change of ruptures' kernel search."""
    search = ruptures.KernelCPD(kernel="linear", min_size=8).fit(run.format[:, None])
    return {"onset": search.predict(n_bkps=1)[0]}


def half_the_height(run: Rise) -> Dates:
    """Return where a running mean of 10 first passes the middle, and 90 %, of the whole rise."""
    first, last = run.format[:_SETTLED].mean(), run.format[-_SETTLED:].mean()
    smooth = np.convolve(run.format, np.full(10, 0.1), "valid")
    passed = {"onset": first + 0.5 * (last - first), "saturation": first + 0.9 * (last - first)}
    return {kind: int((smooth >= level).argmax()) + 10 for kind, level in passed.items()}


METHODS: Mapping[str, Callable[[Rise], Dates]] = {
    "Cusp": cusp, "ruptures": kernel, "half the height": half_the_height
}  # fmt: skip


def scores(runs: list[Rise], dated: list[Dates], kind: str) -> dict[str, float]:
    """Return how one kind of date was told by one method."""
    pairs = [(run.truth[kind], found) for run, found in zip(runs, dated, strict=True)]
    told = [(truth, found) for truth, found in pairs if kind in found]
    errors = np.array([found[kind] - truth for truth, found in told])
    inside = [
        found[f"{kind}_low"] - 1 <= truth <= found[f"{kind}_high"] + 1
        for truth, found in told
        if f"{kind}_low" in found
    ]
    return {
        "dated": len(told) / len(runs),
        "error": float(np.median(abs(errors))),
        "error90": float(np.quantile(abs(errors), 0.9)),
        "bias": float(np.median(errors)),
        "coverage": float(np.mean(inside)) if inside else math.nan,
    }


def main() -> None:
    """Print the table; write it as JSON on request."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="60 runs")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--base", type=int, default=900_000)
    parser.add_argument("--runs", type=int, default=400)
    args = parser.parse_args()
    made = [make(args.base + i) for i in range(60 if args.quick else args.runs)]
    runs = [run for run in made if run.truth["saturation"] <= len(run.format) - _SETTLED]
    print(f"{len(runs)} runs with one rise, seeds from {args.base}")
    print(
        f"{'method':16} {'date':11} {'dated':>6} {'error: 50 %':>12} {'90 %':>6} {'bias':>6}"
        f" {'in its interval':>16}"
    )
    report = {}
    for name, method in METHODS.items():
        dated = [method(run) for run in runs]
        for kind in ("onset", "saturation"):
            if any(kind in found for found in dated):
                one = report[f"{name}, {kind}"] = scores(runs, dated, kind)
                covered = "-" if math.isnan(one["coverage"]) else f"{one['coverage']:.1%}"
                print(
                    f"{name:16} {kind:11} {one['dated']:6.1%} {one['error']:12.1f}"
                    f" {one['error90']:6.1f} {one['bias']:+6.1f} {covered:>16}"
                )
    if args.json:
        args.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
