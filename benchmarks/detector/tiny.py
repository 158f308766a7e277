"""Does a stop by the detector pay on the real tiny GRPO-LoRA runs? (../shared/data/tiny_runs)

    python -m benchmarks.detector.tiny [--quick] [--json FILE] [--runs DIR] [--preset NAME]

For each logged run: where the detector confirms (= stop), what it dates, which saved checkpoint it
names, and what that costs. regret = best held-out pass@1 of all saved checkpoints of the whole run
minus that of the one kept: `signals` keeps the last checkpoint at or before the safe step, `choice`
the best evaluated one saved up to the stop (optimistic: chosen and reported on the same problems),
`last` the last of the whole run. A run that is not stopped keeps its last (or its best) checkpoint.
"""

import argparse
import csv
import json
from pathlib import Path
from typing import Literal, TypedDict

from benchmarks.detector import scoring
from benchmarks.detector.cases import Case, Outcome
from monitor.detector import Detector, RunShape, Sample, Verdict

RUNS = Path(__file__).resolve().parents[3] / "shared/data/tiny_runs"
NAMES = {
    "rewards/format_reward/mean": "format_reward",
    "rewards/accuracy_reward/mean": "accuracy_reward",
    "completions/mean_length": "completion_length",
    "completions/clipped_ratio": "clipped_ratio",
    "entropy": "entropy",
}
CONTROLS = ("c1_", "s5_", "s6_", "r0", "r3_base3_lr5e-4", "r5_", "r7_", "r11_", "s8_", "s2_")
SHAPE = RunShape(completions_per_point=48, completion_limit_tokens=64, save_steps=10)
Averaged = Literal["regret_signals", "regret_low", "regret_choice", "regret_last", "saved"]


class Row(TypedDict):
    """What the detector says of one run and what following it costs; `transition` is [step, low, high]."""

    run: str
    control: bool
    steps: int
    phase: str
    watch: int | None
    stop: int | None
    transition: list[int] | None
    evidence: dict[str, int]
    kept: int
    regret_signals: float
    regret_low: float
    regret_choice: float
    regret_last: float
    saved: float
    words: str


def read(path: Path) -> list[Sample]:
    """Return the samples of one run under canonical names."""
    samples = []
    for row in csv.DictReader(path.open()):
        values = {ours: row.get(theirs) for theirs, ours in NAMES.items()}
        metrics = {name: float(value) for name, value in values.items() if value}
        samples.append(Sample(int(row["step"]), metrics))
    return samples


def held_out(path: Path) -> dict[int, float]:
    """Return the held-out pass@1 of one run's checkpoints by step."""
    found = json.loads(path.with_suffix(".summary.json").read_text())["eval"]
    return {one["step"]: one["acc"] for one in found}


def judge(path: Path, preset: str) -> Row:
    """Return what the detector says of one run and what following it would cost."""
    samples = read(path)
    detector, stop, watched = Detector(SHAPE, preset), None, None
    verdict: Verdict | None = None
    for sample in samples:
        verdict = detector.update(sample)
        if verdict.transition and watched is None:
            watched = sample.step
        if verdict.transition and verdict.transition.state == "confirmed":
            stop = sample.step
            break
    assert verdict, f"{path} has no rows"
    scores = held_out(path)
    best = max(scores.values())
    transition = None if stop is None else verdict.transition
    safe = transition.safe_step if transition else max(scores)
    kept = scoring.kept(scores, safe)
    case = Case(path.stem, [(s.step, {}) for s in samples], selection=scores, report=scores)
    cost = scoring.regret(case, Outcome(stop, safe=safe))
    low = max(
        (s for s in scores if transition and s <= transition.low),
        default=max(scores) if not transition else 0,
    )
    return {
        "run": path.stem,
        "control": path.stem.startswith(CONTROLS),
        "steps": samples[-1].step,
        "phase": verdict.phase,
        "watch": watched,
        "stop": stop,
        "transition": [transition.step, transition.low, transition.high] if transition else None,
        "evidence": {e.metric: round(e.score) for e in verdict.evidence if e.score >= 1},
        "kept": kept,
        "regret_signals": cost.signals,
        "regret_low": best - scores[low],
        "regret_choice": cost.evaluation,
        "regret_last": cost.last,
        "saved": cost.saved,
        "words": verdict.words,
    }


def main() -> None:
    """Print the table and the means; write them as JSON on request."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="every third run only")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--runs", type=Path, default=RUNS)
    parser.add_argument("--preset", default="default")
    parser.add_argument("--words", action="store_true", help="print the verdict's sentence too")
    args = parser.parse_args()
    paths = [p for p in sorted(args.runs.glob("*.csv")) if "repeat" not in p.stem]
    rows = [judge(path, args.preset) for path in paths[:: 3 if args.quick else 1]]
    print(
        f"{'run':38} {'kind':8} {'watch':>5} {'stop':>5} {'dated':>15} {'kept':>5}"
        f" {'signals':>7} {'low':>6} {'choice':>6} {'last':>6} {'saved':>5}  evidence at the stop (or end)"
    )
    for r in rows:
        t = r["transition"]
        print(
            f"{r['run'][:38]:38} {'control' if r['control'] else '':8} {r['watch'] or '-':>5} {r['stop'] or '-':>5}"
            f" {f'{t[0]} [{t[1]}-{t[2]}]' if t else '-':>15} {r['kept']:>5} {r['regret_signals']:7.3f}"
            f" {r['regret_low']:6.3f} {r['regret_choice']:6.3f} {r['regret_last']:6.3f} {r['saved']:5.0%}"
            f"  {' '.join(f'{k[:6]} {v}' for k, v in r['evidence'].items())}"
            f" {r['phase'] if r['phase'] == 'collapsed' else ''}"
        )
        if args.words:
            print("    ", r["words"])
    n = len(rows)

    def mean(key: Averaged) -> float:
        return sum(r[key] for r in rows) / len(rows)

    controls = [r for r in rows if r["control"]]
    controls_stopped = [r["run"] for r in controls if r["stop"]]
    summary = {
        "runs": n,
        "regret_signals": mean("regret_signals"),
        "regret_low": mean("regret_low"),
        "regret_choice": mean("regret_choice"),
        "regret_last": mean("regret_last"),
        "steps_saved": mean("saved"),
        "controls_stopped": controls_stopped,
        "stopped": sum(bool(r["stop"]) for r in rows if not r["control"]),
        "others": sum(not r["control"] for r in rows),
    }
    print(
        f"\nmean regret over {n} runs: signals {summary['regret_signals']:.3f}, interval's low end"
        f" {summary['regret_low']:.3f}, choice {summary['regret_choice']:.3f}, last {summary['regret_last']:.3f};"
        f" steps saved {summary['steps_saved']:.0%}"
    )
    print(
        f"stopped {summary['stopped']} of {summary['others']} runs that are no controls;"
        f" controls stopped: {', '.join(controls_stopped) or 'none'} (of {len(controls)})"
    )
    if args.json:
        args.json.write_text(json.dumps({"summary": summary, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
