"""What does one step of the detector cost, from 1,000 to 100,000 steps, and what a re-run of ruptures?

    python -m benchmarks.detector.cost [--quick] [--json FILE]

CPU time (process_time), one thread, a run that never turns with format, length, accuracy and entropy.
Each row is the mean over the steps since the row before. ruptures segments the whole run once at
n = 2,000 (two metrics in noise units): what "re-run at each step" would pay there for every step.
"""

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import ruptures

from benchmarks.detector.scoring import markdown
from monitor.detector import Detector, RunShape, Sample

MARKS = (1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000)


def samples(count: int) -> list[Sample]:
    """Return a run that learns the format and stays."""
    rng, t = np.random.default_rng(0), np.arange(count)
    format_ = rng.binomial(48, 0.3 + 0.63 / (1 + np.exp(-(t - 60) / 10))) / 48
    accuracy = rng.binomial(48, 0.3 + 0.3 * np.minimum(t / 400, 1)) / 48
    length = 900 * np.exp(-0.4 * np.minimum(t / 300, 1) + rng.normal(0, 0.06, count))
    entropy = 0.5 * np.exp(-0.3 * np.minimum(t / 300, 1) + rng.normal(0, 0.1, count))
    names = ("format_reward", "accuracy_reward", "completion_length", "entropy")
    rows = zip(format_.tolist(), accuracy.tolist(), length.tolist(), entropy.tolist(), strict=True)
    return [Sample(i + 1, dict(zip(names, row, strict=True))) for i, row in enumerate(rows)]


def measure(marks: tuple[int, ...]) -> list[tuple[int, float]]:
    """Return (step, microseconds a step since the mark before)."""
    detector, found, done = Detector(RunShape(completions_per_point=48)), [], 0
    run = samples(marks[-1])
    for mark in marks:
        begin = time.process_time()
        for sample in run[done:mark]:
            detector.update(sample)
        found.append((mark, 1e6 * (time.process_time() - begin) / (mark - done)))
        done = mark
    return found


def reruns() -> dict[str, float]:
    """Return the microseconds of one segmentation of 2,000 points by each way of ruptures."""
    rows = [(s.metrics["format_reward"], s.metrics["completion_length"]) for s in samples(2_000)]
    signal = np.array([[math.asin(math.sqrt(f)) / 0.07, math.log(n) / 0.06] for f, n in rows])
    penalty = 2 * 2 * math.log(len(signal))
    ways = {
        "KernelCPD linear": ruptures.KernelCPD(kernel="linear", min_size=8),
        "Pelt l2, jump 5 (its default)": ruptures.Pelt(model="l2", min_size=8, jump=5),
    }
    found = {}
    for name, way in ways.items():
        begin = time.process_time()
        way.fit(signal).predict(pen=penalty)
        found[name] = 1e6 * (time.process_time() - begin)
    return found


def main() -> None:
    """Print both tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="to 10,000 steps only")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    steps, once = measure(MARKS[:4] if given.quick else MARKS), reruns()
    at_2000 = next(us for step, us in steps if step == 2_000)
    print(markdown(("up to step", "us a step"), [(f"{s:,}", f"{us:.0f}") for s, us in steps]))
    rows = [(n, f"{us / 1000:,.1f}", f"{us / at_2000:,.0f} x") for n, us in once.items()]
    print(markdown(("ruptures once at n = 2,000", "ms", "against one step of Cusp"), rows))
    if given.json:
        given.json.write_text(json.dumps({"steps": steps, "reruns_us": once}))


if __name__ == "__main__":
    main()
