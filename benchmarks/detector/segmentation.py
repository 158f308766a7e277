"""Does the segmentation by ruptures find what is there, and nothing where nothing is? What does its agreement mean?

    python -m benchmarks.detector.segmentation [--quick] [--base SEED] [--null N --pos N] [--length STEPS]
                                               [--accuracy] [--simulated] [--before]

Runs of the study's generator (benchmarks.detector.synthetic), with `--simulated` those of grpo_simulation with
all metrics (without mild transitions); develop with another --base than the default.
`false` = a null run (rises of format and falls of length are no falsehood: they are true) has a change for the
worse; `steady` = a run whose metrics have a constant mean has any change. Of positives: `found` = the whole run,
segmented at its end, has a change for the worse within 50 steps of the true transition; `at the stop` = the run up
to Cusp's stop has one within Cusp's interval; `random` = the same for intervals as wide, placed at random.
`told` = `chance` is at most 15 %, so that an agreement is said. `--before` measures the way of before issue
12 instead (least squares, units of the noise from point to point).
"""

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import ModuleType

import numpy as np

from benchmarks.detector.cases import Case
from benchmarks.detector.grpo_simulation import KINDS, make
from benchmarks.detector.scoring import cusp, markdown
from benchmarks.detector.synthetic import generator
from monitor.detector import RewardRange, RunShape, Sample, Segmentation, second_opinion
from monitor.detector.offline import CHANCE

NEAR = 50  # steps of tolerance of `found`; save_steps of the generator's runs
PLACES = 20  # random intervals a run
STEADY = ("flat", "saturated", "warmup_only")  # all means are constant
# Kinds in which metrics do get worse without a transition.
TRUE_CHANGES = ("grpo growing", "grpo harder", "grpo dips", "grpo wander")
Method = Callable[[Sequence[Sample], RunShape], Segmentation]


@dataclass(frozen=True)
class Found:
    """What one run showed; `agrees` and `random` are None without a stop by Cusp."""

    kind: str
    changes: int
    worse: int
    error: float
    told: bool | None = None
    agrees: bool | None = None
    random: float | None = None


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="3 runs of each kind")
    parser.add_argument("--base", type=int, default=900_000)
    parser.add_argument("--null", type=int, default=20)
    parser.add_argument("--pos", type=int, default=20)
    parser.add_argument("--length", type=int, help="steps of a null run (2,000)")
    parser.add_argument("--before", action="store_true")
    parser.add_argument("--simulated", action="store_true")
    parser.add_argument("--accuracy", action="store_true", help="with the accuracy reward, too")
    args = parser.parse_args()
    if args.quick:
        args.null = args.pos = 3
    method = before if args.before else second_opinion
    cases = of_simulation(args) if args.simulated else of_study(args)
    nulls: dict[str, list[Found]] = {}
    positives: dict[str, list[Found]] = {}
    for kind, seed, case in cases:
        table = nulls if case.truth is None else positives
        table.setdefault(kind, []).append(judged(case, method, seed))
    print(table_of_nulls(nulls))
    print(table_of_positives(positives))


def of_study(args: argparse.Namespace) -> Iterator[tuple[str, int, Case]]:
    """Yield kind, seed and run of the study's generator."""
    gen = generator()
    for kind in (*gen.NULL, *gen.POSITIVE):
        for seed in range(args.base, args.base + (args.null if kind in gen.NULL else args.pos)):
            yield kind, seed, studied(gen, kind, seed, args.accuracy, args.length)


def of_simulation(args: argparse.Namespace) -> Iterator[tuple[str, int, Case]]:
    """Yield kind, seed and run of the simulated GRPO runs, with all that TRL logs."""
    for kind, found in KINDS.items():
        positive = found.group == "positive"
        if found.size != "mild":
            for seed in range(args.base, args.base + (args.pos if positive else args.null)):
                yield f"grpo {kind}", seed, make(kind, seed).case()


def is_false(kind: str, found: Found) -> bool:
    """Return whether a run without a transition has a change that is not there."""
    return kind not in TRUE_CHANGES and (found.worse > 0 or (kind in STEADY and found.changes > 0))


def studied(gen: ModuleType, kind: str, seed: int, accuracy: bool, length: int | None) -> Case:
    """Return a run of the study's generator."""
    null = kind not in gen.POSITIVE
    run = gen.make_run(kind, seed, T=length if null else None)
    columns = {"format_reward": run["format"], "completion_length": run["length"]}
    if accuracy:
        columns["accuracy_reward"] = run["accuracy"]
    points = [
        (int(step), {name: float(column[i]) for name, column in columns.items()})
        for i, step in enumerate(run["steps"])
    ]
    ranges = {"format_reward": RewardRange(0, run["fmax"]), "accuracy_reward": RewardRange()}
    truth = run["truth"]["transition"]
    return Case(kind, points, truth=truth, completions=run["n"], rewards=ranges)


def judged(case: Case, method: Method, seed: int) -> Found:
    """Return what the segmentation says of one run."""
    shape = RunShape(
        completions_per_point=case.completions,
        completion_limit_tokens=case.completion_limit,
        rewards=case.rewards,
    )
    samples = [Sample(step, metrics) for step, metrics in case.points]
    whole, truth = method(samples, shape), case.truth
    error = (
        math.inf if truth is None else min((abs(s - truth) for s in whole.worse), default=math.inf)
    )
    found = Found(case.name, len(whole.change_steps), len(whole.worse), error)
    if truth is None:
        return found
    stop = cusp(case)
    if stop.stop is None or stop.low is None or stop.high is None:
        return found
    seen = method([one for one in samples if one.step <= stop.stop], shape)
    rng = np.random.default_rng(seed)
    width = stop.high - stop.low
    places = rng.integers(1, max(stop.stop - width, 1) + 1, PLACES).tolist()
    return replace(
        found,
        told=seen.chance(stop.low, stop.high) <= CHANCE,
        agrees=seen.agrees(stop.low, stop.high),
        random=float(np.mean([seen.agrees(a, a + width) for a in places])),
    )


def table_of_nulls(rows: dict[str, list[Found]]) -> str:
    """Return the table of runs without a transition."""
    lines = []
    for kind, found in rows.items():
        changes = float(np.mean([one.changes for one in found]))
        worse = share(sum(one.worse > 0 for one in found), len(found))
        wrong = share(sum(is_false(kind, one) for one in found), len(found))
        lines.append([kind, f"{changes:.1f}", worse, "true" if kind in TRUE_CHANGES else wrong])
    every = [
        is_false(k, one) for k, found in rows.items() for one in found if k not in TRUE_CHANGES
    ]
    lines.append(["all", "", "", share(sum(every), len(every))])
    head = ("null kind", "changes a run", "with one for the worse", "with a false change")
    return markdown(head, lines)


def table_of_positives(rows: dict[str, list[Found]]) -> str:
    """Return the table of runs with a transition, "" if there are none."""
    lines = []
    if not rows:
        return ""
    for kind, found in (*rows.items(), ("all", [one for each in rows.values() for one in each])):
        near = [one for one in found if one.error <= NEAR]
        stops = [one for one in found if one.agrees is not None]
        told = [one for one in stops if one.told]
        lines.append([
            kind, share(len(near), len(found)),
            f"{np.median([one.error for one in found]):.0f}",
            f"{len(stops)}", share(sum(bool(one.agrees) for one in stops), len(stops)),
            f"{np.mean([one.random for one in stops]):.0%}" if stops else "–",
            f"{len(told)}", share(sum(bool(one.agrees) for one in told), len(told)),
            f"{np.mean([one.random for one in told]):.0%}" if told else "–",
        ])  # fmt: skip
    head = ("positive kind", f"found within {NEAR}", "date error", "stopped by Cusp",
            "agrees at the stop", "random", "told", "agrees", "random")  # fmt: skip
    return markdown(head, lines)


def share(count: int, of: int) -> str:
    """Return a share with its 95 % interval (Wilson 1927)."""
    if not of:
        return "–"
    z, p = 1.96, count / of
    middle, half = p + z * z / (2 * of), z * math.sqrt(p * (1 - p) / of + z * z / (4 * of * of))
    scale = 1 + z * z / of
    low, high = max((middle - half) / scale, 0.0), (middle + half) / scale
    return f"{count}/{of} = {p:.0%} ({low:.0%}-{high:.0%})"


def before(samples: Sequence[Sample], shape: RunShape) -> Segmentation:
    """Return the segmentation as it was: levels by least squares, units of the noise from point to point."""
    import ruptures

    from monitor.detector.signal.metrics import METRICS, Scale

    columns = []
    for metric in METRICS:
        if metric.name in samples[0].metrics:
            scale = Scale(metric, shape)
            values = np.array([scale.forward(one.metrics[metric.name]) for one in samples])
            sigma = 1.4826 * float(np.median(np.abs(np.diff(values, 2)))) / math.sqrt(6)
            columns.append((values - values.mean()) / max(sigma, scale.floor))
    signal = np.column_stack(columns)
    search = ruptures.KernelCPD(kernel="linear", min_size=8).fit(signal)
    ends = search.predict(pen=3 * signal.shape[1] * math.log(len(signal)))
    steps = tuple(samples[end - 1].step for end in ends[:-1])
    return Segmentation(
        second_opinion(samples, shape).segments, steps, "", dict.fromkeys(steps, ())
    )


if __name__ == "__main__":
    main()
