"""What does the detector say of other people's real GRPO logs? (../shared/data/grpo_logs)

    python benchmarks/detector_real.py [--quick] [--json FILE] [--logs DIR] [--preset NAME]

Labels were made by eye before any detector was run (ANNOTATIONS.csv). Every run is read as `cusp
replay` would: nothing is known of reward ranges, batch sizes or token limits. A stop = a confirmed
transition or a collapse.
  negatives   has_transition = no: every stop is false; per 10,000 logged steps
  dated       positives of medium or high confidence with a length reversal or destabilisation
              date: hit = the dated interval or step lies within twice the tolerance of a label and
              the stop is not more than that before it; `reported` = a change point `length_turn`,
              `destabilisation` or `collapse` of the verdict at the end lies there, stopped or not
  onsets      positives with an onset label: the change point `onset` within twice the tolerance
  evaluated   runs with MATH-500 accuracy per checkpoint: the one kept against the best and the last
"""

import argparse
import csv
import json
import math
from pathlib import Path

import scoring
from scoring import Case, Outcome

from monitor.detect import Detector, RunShape, Sample

LOGS = Path(__file__).resolve().parents[2] / "shared/data/grpo_logs"
METRICS = ("format_reward", "accuracy_reward", "completion_length", "entropy", "clipped_ratio")


def read(path: Path) -> list[Sample]:
    """Return the samples of one log, steps increasing."""
    samples: dict[int, Sample] = {}
    for i, row in enumerate(csv.DictReader(path.open())):
        step = int(float(row["step"])) if row.get("step") else i + 1
        values = {m: float(row[m]) for m in METRICS if row.get(m) not in (None, "", "nan", "None")}
        samples[step] = Sample(step, {m: v for m, v in values.items() if math.isfinite(v)})
    return [samples[step] for step in sorted(samples)]


def replay(samples: list[Sample], preset: str) -> dict[str, object]:
    """Return the first watch, the stop and everything dated in one run (folded to its end)."""
    detector = Detector(RunShape(), preset)
    watch = stop = transition = at_watch = None
    evidence, top, words, points = {}, 0.0, "", ()
    for sample in samples:
        verdict = detector.update(sample)
        top = max(top, verdict.score)
        if verdict.transition and watch is None:
            watch, at_watch = sample.step, verdict.transition
        if verdict.transition and verdict.transition.state == "confirmed" and stop is None:
            stop, transition, words = sample.step, verdict.transition, verdict.words
            evidence = {e.metric: round(e.score) for e in verdict.evidence if e.score >= 1}
        points = verdict.change_points
    return {
        "steps": len(samples), "watch": watch, "stop": stop, "top": top, "evidence": evidence,
        "transition": _dates(transition), "at_watch": _dates(at_watch), "words": words,
        "onset": next((p.step for p in points if p.kind == "onset"), None),
        "saturation": next((p.step for p in points if p.kind == "saturation"), None),
        "phase": verdict.phase,
        "turns": [
            [p.kind, p.step, p.low, p.high] for p in points
            if p.kind in ("length_turn", "destabilisation", "collapse")
        ],
    }  # fmt: skip


def _dates(t: object) -> list[int] | None:
    return [t.step, t.low, t.high, t.safe_step] if t else None


def _hit(dates: list[int] | None, seen: int | None, labels: list[float], tolerance: float) -> bool:
    """Return whether a dated change is near a label and was not claimed long before it."""
    if dates is None or seen is None:
        return False
    case = Case("", (), labels=tuple(labels), tolerance=tolerance)
    return scoring.is_hit(case, Outcome(seen, dates[0], dates[1], dates[2]))


def main() -> None:
    """Print the tables; write them as JSON on request."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="every third run only")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--logs", type=Path, default=LOGS)
    parser.add_argument("--preset", default="default")
    parser.add_argument(
        "--all", action="store_true", help="list every run, not only the telling ones"
    )
    args = parser.parse_args()
    labels = {row["run_id"]: row for row in csv.DictReader((args.logs / "ANNOTATIONS.csv").open())}
    scores: dict[str, dict[int, float]] = {}
    for row in csv.DictReader((args.logs / "EVALS.csv").open()):
        scores.setdefault(row["run_id"], {})[int(float(row["step"]))] = float(row["eval_acc"])
    rows = []
    paths = sorted((args.logs / "runs").glob("*.csv"))[:: 3 if args.quick else 1]
    for path in paths:
        row = {"run": path.stem, **replay(read(path), args.preset)}
        label = labels.get(path.stem, {})
        events = [
            float(label[k]) for k in ("length_reversal_step", "format_destab_step") if label.get(k)
        ]
        tolerance = float(label.get("tolerance_steps") or 10)
        sure = label.get("confidence") in ("medium", "high")
        row["kind"] = label.get("has_transition", "unlabelled")
        row["labels"] = events
        row["tolerance"] = tolerance
        row["onset_label"] = (
            float(label["format_onset_step"]) if label.get("format_onset_step") else None
        )
        row["dated"] = row["kind"] == "yes" and sure and bool(events)
        row["hit"] = (
            _hit(row["transition"], row["stop"], events, tolerance) if row["dated"] else None
        )
        row["hit_watch"] = (
            _hit(row["at_watch"], row["watch"], events, tolerance) if row["dated"] else None
        )
        row["hit_report"] = (
            any(
                scoring.is_hit(
                    Case("", (), labels=tuple(events), tolerance=tolerance), Outcome(high, *dates)
                )
                for _, *dates in row["turns"]
                for high in [max(dates)]
            )
            if row["dated"]
            else None
        )
        row["scored_onset"] = row["kind"] == "yes" and sure and row["onset_label"] is not None
        row["onset_hit"] = (
            row["onset"] is not None and abs(row["onset"] - row["onset_label"]) <= 2 * tolerance
            if row["scored_onset"] else None
        )  # fmt: skip
        rows.append(row)
    negatives = [r for r in rows if r["kind"] == "no"]
    dated = [r for r in rows if r["dated"]]
    onsets = [r for r in rows if r["scored_onset"]]
    print(
        f"{'run':46} {'kind':10} {'steps':>5} {'onset (label)':>14} {'watch':>5} {'stop':>5}"
        f" {'dated':>18} {'labels':>14} {'top':>5}"
    )
    for r in rows:
        if not (args.all or r["dated"] or r["stop"] or r["watch"]):
            continue
        t = r["transition"] or r["at_watch"]
        verdict = (
            ""
            if r["hit"] is None
            else ("hit" if r["hit"] else "reported" if r["hit_report"] else "missed")
        )
        if r["kind"] == "no" and r["stop"]:
            verdict = "FALSE STOP"
        onset = (
            f"{r['onset'] or '-'} ({r['onset_label']:.0f})"
            if r["onset_label"]
            else f"{r['onset'] or '-'}"
        )
        print(
            f"{r['run'][:46]:46} {r['kind']:10} {r['steps']:>5} {onset:>14}"
            f" {r['watch'] or '-':>5} {r['stop'] or '-':>5}"
            f" {f'{t[0]} [{t[1]}-{t[2]}]' if t else '-':>18}"
            f" {'/'.join(f'{e:.0f}' for e in r['labels']):>14} {r['top']:5.0f}"
            f"  {verdict} {' '.join(f'{k[:6]} {v}' for k, v in r['evidence'].items())}"
            f" {' '.join(f'{kind[:6]}@{step}[{low}-{high}]' for kind, step, low, high in r['turns'])}"
        )
    kept = []
    print(
        f"\n{'evaluated runs':46} {'stop':>5} {'of':>5} {'kept':>5} {'score':>6} {'best':>6} {'last':>6}"
    )
    for r in rows:
        table = scores.get(r["run"])
        if not table:
            continue
        safe = r["transition"][3] if r["transition"] else max(table)
        step = scoring.kept(table, safe)
        kept.append(
            {
                "run": r["run"],
                "kept": step,
                "score": table[step],
                "best": max(table.values()),
                "last": table[max(table)],
                "stop": r["stop"],
            }
        )
        print(
            f"{r['run'][:46]:46} {r['stop'] or '-':>5} {r['steps']:>5} {step:>5}"
            f" {table[step]:6.1f} {max(table.values()):6.1f} {table[max(table)]:6.1f}"
        )
    steps = sum(r["steps"] for r in negatives)
    summary = {
        "negatives": len(negatives), "negative_steps": steps,
        "false_stops": [r["run"] for r in negatives if r["stop"]],
        "false_watches": sum(bool(r["watch"]) for r in negatives),
        "dated": len(dated), "hits": sum(r["hit"] for r in dated),
        "reported": sum(r["hit"] or r["hit_report"] for r in dated),
        "onsets": len(onsets), "onset_hits": sum(r["onset_hit"] for r in onsets), "evaluated": kept,
        "unlabelled_stops": [r["run"] for r in rows if r["kind"] == "unlabelled" and r["stop"]],
    }  # fmt: skip
    print(
        f"\nnegatives: {len(summary['false_stops'])} false stops and {summary['false_watches']} false watches in"
        f" {len(negatives)} runs, {steps} steps"
        f" ({10_000 * len(summary['false_stops']) / max(steps, 1):.2f} stops per 10,000 steps)"
    )
    print(
        f"dated positives: {summary['hits']} of {len(dated)} hit at the stop,"
        f" {summary['reported']} by the stop or a change point of the report at the end"
    )
    print(f"onsets: {summary['onset_hits']} of {len(onsets)} within twice the tolerance")
    if args.json:
        args.json.write_text(json.dumps({"summary": summary, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
