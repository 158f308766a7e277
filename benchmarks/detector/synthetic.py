"""How often does the detector stop a healthy run, and how soon and how exactly does it see a transition?

    python -m benchmarks.detector.synthetic [--quick] [--json FILE] [--base SEED] [--null N --pos N]
                                            [--length STEPS]

Runs with known truth from the study's generator (../shared/detector_study/gen.py, imported, seeded).
Seeds from 900000 are this script's held-out ones; develop with another --base. Null runs have 2,000
steps. There are two levels: `found` = a transition is reported (provisional or confirmed: watch and
evaluate), `stopped` = it is confirmed and ends the run. Each with its own false ones and delay; one
more than 20 steps before the true transition is early and counts as neither. `faded` = a suspicion
that died out is noted. `kink_only` (length alone turns) can be found, but not stopped: length alone
never stops a run. Date and interval are those at the stop, or the last ones reported. `coverage` =
the interval holds the true step (plus or minus one logged point). `data_shift` (length and accuracy
jump with the data) is a hard null and reported apart.
"""

import argparse
import importlib.util
import json
import time
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NotRequired, TypedDict

import numpy as np

from benchmarks.detector import scoring
from benchmarks.detector.cases import Case, Outcome
from monitor.detector import Detector, RewardRange, RunShape, Sample

STUDY = Path(__file__).resolve().parents[3] / "shared/detector_study/gen.py"


class Dates(TypedDict):
    """What was dated last, where anything was."""

    step: NotRequired[int]
    low: NotRequired[int]
    high: NotRequired[int]
    safe: NotRequired[int]


class Said(Dates):
    """What was said of one run: steps; `top` is the highest score, `points` those seen."""

    stop: int | None
    faded: int | None
    points: int
    top: float
    watch: int | None
    seconds: float


class Row(Said):
    """One run: its kind, its true transition, its logging steps, and what was said."""

    kind: str
    truth: int | None
    every: int


def generator() -> ModuleType:
    """Return the study's generator module."""
    spec = importlib.util.spec_from_file_location("gen", STUDY)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def replay(run: dict[str, Any], with_accuracy: bool, preset: str) -> Said:
    """Fold one synthetic run until it is confirmed; return what was said and how long a step took."""
    shape = RunShape(
        completions_per_point=run["n"],
        rewards={"format_reward": RewardRange(0, run["fmax"]), "accuracy_reward": RewardRange()},
    )
    detector, top, watch, stop = Detector(shape, preset), 0.0, None, None
    dates: Dates = {}
    steps, format_, length, accuracy = (
        run[k].tolist() for k in ("steps", "format", "length", "accuracy")
    )
    begin = time.process_time()
    points = len(steps)
    for i, step in enumerate(steps):
        metrics = {"format_reward": format_[i], "completion_length": length[i]}
        if with_accuracy:
            metrics["accuracy_reward"] = accuracy[i]
        verdict = detector.update(Sample(step, metrics))
        top = max(top, verdict.score)
        if verdict.transition and watch is None:
            watch = step
        if t := verdict.transition:
            dates = {"step": t.step, "low": t.low, "high": t.high, "safe": t.safe_step}
            if t.state == "confirmed":
                stop, points = step, i + 1
                break
    seconds = time.process_time() - begin
    faded = [point.seen_at_step for point in verdict.change_points if point.state == "faded"]
    return {
        "stop": stop, "faded": min(faded, default=None), "points": points, **dates,
        "top": top, "watch": watch, "seconds": seconds,
    }  # fmt: skip


def main() -> None:
    """Print the tables; write them as JSON on request."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="6 runs of each null kind and 6 of each positive one"
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument("--base", type=int, default=900_000)
    parser.add_argument("--null", type=int, default=40)
    parser.add_argument("--pos", type=int, default=30)
    parser.add_argument("--length", type=int, help="steps of a null run (2,000)")
    parser.add_argument("--preset", default="default")
    parser.add_argument("--metrics", choices=("format+length", "accuracy", "both"), default="both")
    parser.add_argument("--kinds", nargs="*")
    args = parser.parse_args()
    gen = generator()
    nulls, positives = (6, 6) if args.quick else (args.null, args.pos)
    report = {}
    for name, with_accuracy in (("format + length", False), ("format + length + accuracy", True)):
        if args.metrics != "both" and with_accuracy != (args.metrics == "accuracy"):
            continue
        rows: list[Row] = []
        for kind in args.kinds or gen.KINDS:
            for j in range(nulls if kind not in gen.POSITIVE else positives):
                length = None if kind in gen.POSITIVE else args.length
                run = gen.make_run(kind, args.base + j, T=length)
                rows.append(
                    {
                        "kind": kind,
                        "truth": run["truth"]["transition"],
                        "every": run["logging_steps"],
                        **replay(run, with_accuracy, args.preset),
                    }
                )
        report[name] = table(name, rows, gen)
    if args.json:
        args.json.write_text(json.dumps(report, indent=1))


def count(rows: list[Row], key: Literal["stop", "watch", "faded"]) -> int:
    """Return in how many runs `key` (a step) was reached."""
    return sum(r[key] is not None for r in rows)


def table(name: str, rows: list[Row], gen: ModuleType) -> dict[str, Any]:
    """Print one table and return its numbers."""
    print(f"\n== {name}")
    print(
        f"{'null kind':14} {'stopped':>9} {'found':>9} {'faded':>9} {'top score: median':>18} {'99 %':>6}"
    )
    for kind in (*gen.NULL, *gen.HARD_NULL):
        part = [r for r in rows if r["kind"] == kind]
        if part:
            tops, n = [r["top"] for r in part], len(part)
            print(
                f"{kind:14} {count(part, 'stop'):>4} /{n:>3} {count(part, 'watch'):>4} /{n:>3}"
                f" {count(part, 'faded'):>4} /{n:>3} {np.median(tops):18.1f} {np.quantile(tops, 0.99):6.1f}"
            )
    print(
        f"{'positive kind':14} {'found':>7} {'delay: 50 %':>12} {'90 %':>6} {'stopped':>8}"
        f" {'delay: 50 %':>12} {'90 %':>6} {'early':>6} {'date error':>11} {'coverage':>9} {'safe <= truth':>14}"
    )
    positives = [r for r in rows if r["truth"] is not None]
    for kind in (*gen.POSITIVE, "all"):
        part = [r for r in positives if kind in ("all", r["kind"])]
        if part:
            of = numbers(part)
            print(
                f"{kind:14} {of['found']:7.1%} {of['found_delay']:12.0f} {of['found_delay90']:6.0f}"
                f" {of['detected']:8.1%} {of['delay']:12.0f} {of['delay90']:6.0f} {of['early']:6.1%}"
                f" {of['error']:11.1f} {of['coverage']:9.1%} {of['safe']:14.1%}"
            )
    plain = [r for r in rows if r["kind"] in gen.NULL]
    hard = [r for r in rows if r["kind"] in gen.HARD_NULL]
    us = 1e6 * sum(r["seconds"] for r in rows) / max(sum(r["points"] for r in rows), 1)
    stops, nulls = count(plain, "stop"), max(len(plain), 1)
    print(
        f"all nulls: {stops} of {len(plain)} stopped ({stops / nulls:.2%}),"
        f" found {count(plain, 'watch') / nulls:.1%}, a faded suspicion noted in"
        f" {count(plain, 'faded') / nulls:.1%};"
        f" hard nulls: {count(hard, 'stop')} of {len(hard)}; {us:.0f} us a point"
    )
    return {
        "nulls": len(plain),
        "false_stops": stops,
        "hard_nulls": len(hard),
        "hard_stops": count(hard, "stop"),
        "positives": numbers(positives) if positives else {},
        "us_per_point": us,
        "rows": rows,
    }


def numbers(rows: list[Row]) -> dict[str, float]:
    """Return the scores of positive runs."""
    stops = [(Case("", (), truth=r["truth"]), Outcome(r["stop"], r.get("step"))) for r in rows]
    sights = [
        (case, Outcome(r["watch"], r.get("step"))) for (case, _), r in zip(stops, rows, strict=True)
    ]
    found = [r for r, pair in zip(rows, sights, strict=True) if scoring.is_detected(*pair)]
    errors = [scoring.date_error(*pair) for pair in sights if scoring.is_detected(*pair)]
    true = [(r, r["truth"]) for r in found if r["truth"] is not None]
    covered = [r["low"] - r["every"] <= truth <= r["high"] + r["every"] for r, truth in true]
    delays, sight_delays = ([scoring.delay(*pair) for pair in pairs] for pairs in (stops, sights))
    return {
        "found": len(found) / len(rows),
        "found_delay": scoring.quantile(sight_delays, 0.5),
        "found_delay90": scoring.quantile(sight_delays, 0.9),
        "detected": float(np.mean([scoring.is_detected(*pair) for pair in stops])),
        "early": float(np.mean([scoring.is_early(*pair) for pair in sights])),
        "delay": scoring.quantile(delays, 0.5),
        "delay90": scoring.quantile(delays, 0.9),
        "error": float(np.median(errors)) if found else np.nan,
        "coverage": float(np.mean(covered)) if found else np.nan,
        "safe": float(np.mean([r["safe"] <= truth for r, truth in true])) if found else np.nan,
    }


if __name__ == "__main__":
    main()
