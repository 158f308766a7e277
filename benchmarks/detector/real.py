"""What does the detector say of other people's real GRPO logs? (../shared/data/grpo_logs)

    python -m benchmarks.detector.real [--quick] [--json FILE] [--logs DIR] [--preset NAME]

Labels were made by eye before any detector was run (ANNOTATIONS.csv). Every run is read as `cusp
replay` would: nothing is known of reward ranges, batch sizes or token limits. A stop = a confirmed
transition or a collapse.
  negatives   has_transition = no: every stop is false; per 10,000 logged steps
  positives   labelled runs of medium or high confidence with a date in their label: `found` = a change
              point in force at the end lies within twice the tolerance of a labelled date of its own
              kind (onset with onset, turn with length reversal or destabilisation), or the stop does;
              `by chance` = the same with the labels moved around the run in 100 steps. Date by date:
  turns       those with a length reversal or destabilisation date: hit = the dated interval or step
              lies within twice the tolerance of a label and the stop is not more than that before
              it; `reported` = a change point `length_turn`, `destabilisation` or `collapse` of the
              verdict at the end lies there, stopped or not, faded ones (suspected, then died out) apart
  onsets      those with an onset date: the change point `onset` within twice the tolerance
  saturations the same for the step at which format had settled
  evaluated   runs with MATH-500 accuracy per checkpoint: the one kept against the best and the last
"""

import argparse
import csv
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, TypedDict

from benchmarks.detector import scoring
from benchmarks.detector.cases import Case, Outcome
from monitor.detector import ChangePoint, Detector, RunShape, Sample, Transition

MOVES = 100
LOGS = Path(__file__).resolve().parents[3] / "shared/data/grpo_logs"
METRICS = ("format_reward", "accuracy_reward", "completion_length", "entropy", "clipped_ratio")


class Turn(NamedTuple):
    """A change point that is a turn."""

    kind: str
    step: int
    low: int
    high: int
    state: str


class Seen(TypedDict):
    """What was dated in one run; `transition` and `at_watch` hold step, low, high and safe step."""

    steps: int
    last: int
    watch: int | None
    stop: int | None
    top: float
    evidence: dict[str, int]
    transition: list[int] | None
    at_watch: list[int] | None
    words: str
    onset: int | None
    saturation: int | None
    phase: str
    turns: list[Turn]


class Fit(TypedDict, total=False):
    """Which dates of a label were found; one that is not labelled is left out."""

    hit: bool
    reported: bool
    noted: bool
    onset_hit: bool
    saturation_hit: bool
    found: bool
    by_chance: float  # share of moved labels of which `found` is true


class Row(Seen, Fit):
    """One run: its label, what was seen, and whether that fits."""

    run: str
    kind: str
    labels: tuple[float, ...]
    onset_label: float | None


class Kept(TypedDict):
    """The checkpoint kept of an evaluated run."""

    run: str
    stop: int | None
    of: int
    kept: int
    score: float
    best: float
    last: float


class Summary(TypedDict):
    """The counts over all runs; `onset_hits` and `saturation_hits` are [hits, of]."""

    negatives: int
    negative_steps: int
    false_stops: list[str]
    false_watches: int
    dated: int
    hits: int
    reported: int
    noted: int
    negatives_noted: int
    onset_hits: list[int]
    saturation_hits: list[int]
    positives: int
    found: int
    found_by_chance: float
    unlabelled_stops: list[str]


def read(path: Path) -> list[Sample]:
    """Return the samples of one log, steps increasing."""
    samples: dict[int, Sample] = {}
    for i, row in enumerate(csv.DictReader(path.open())):
        step = int(float(row["step"])) if row.get("step") else i + 1
        values = {m: float(row[m]) for m in METRICS if row.get(m) not in (None, "", "nan", "None")}
        samples[step] = Sample(step, {m: v for m, v in values.items() if math.isfinite(v)})
    return [samples[step] for step in sorted(samples)]


def replay(samples: list[Sample], preset: str) -> Seen:
    """Return the first watch, the stop and everything dated in one run (folded to its end)."""
    detector = Detector(RunShape(), preset)
    watch = stop = transition = at_watch = None
    top, words = 0.0, ""
    evidence: dict[str, int] = {}
    points: tuple[ChangePoint, ...] = ()
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
        "steps": len(samples), "last": samples[-1].step, "watch": watch, "stop": stop, "top": top, "evidence": evidence,
        "transition": _dates(transition), "at_watch": _dates(at_watch), "words": words,
        "onset": next((p.step for p in points if p.kind == "onset"), None),
        "saturation": next((p.step for p in points if p.kind == "saturation"), None),
        "phase": verdict.phase,
        "turns": [
            Turn(p.kind, p.step, p.low, p.high, p.state) for p in points
            if p.kind in ("length_turn", "destabilisation", "collapse")
        ],
    }  # fmt: skip


def _dates(t: Transition | None) -> list[int] | None:
    return [t.step, t.low, t.high, t.safe_step] if t else None


@dataclass(frozen=True)
class Label:
    """What was seen in a run by eye; `dates` are those of its turns, `sure` = worth scoring."""

    kind: str = "unlabelled"
    dates: tuple[float, ...] = ()
    onset: float | None = None
    saturation: float | None = None
    tolerance: float = 10.0
    sure: bool = False

    def hit(self, seen: int | None, dates: Sequence[int] | None) -> bool:
        """Return whether a dated change is near a label and was not claimed long before it."""
        if seen is None or dates is None:
            return False
        case = Case("", (), labels=self.dates, tolerance=self.tolerance)
        step, low, high = dates[:3]
        return scoring.is_hit(case, Outcome(seen, step, low, high))

    def moved(self, by: float, last: int) -> "Label":
        """Return the label with its dates moved on by so many steps, around the end of the run."""
        dates = tuple((date + by) % last for date in self.dates)
        onset = None if self.onset is None else (self.onset + by) % last
        return replace(self, dates=dates, onset=onset)


def labels(file: Path) -> dict[str, Label]:
    """Return the labels of ANNOTATIONS.csv by run."""
    found = {}
    for row in csv.DictReader(file.open()):
        dates = ("length_reversal_step", "format_destab_step")
        onset, saturation = (
            float(row[name]) if row.get(name) else None
            for name in ("format_onset_step", "format_saturation_step")
        )
        found[row["run_id"]] = Label(
            row["has_transition"] or "unlabelled",
            tuple(float(row[name]) for name in dates if row.get(name)),
            onset,
            saturation,
            float(row.get("tolerance_steps") or 10),
            row["has_transition"] == "yes" and row.get("confidence") in ("medium", "high"),
        )
    return found


def held_out(file: Path) -> dict[str, dict[int, float]]:
    """Return the accuracies of EVALS.csv by run and step."""
    scores: dict[str, dict[int, float]] = {}
    for row in csv.DictReader(file.open()):
        scores.setdefault(row["run_id"], {})[int(float(row["step"]))] = float(row["eval_acc"])
    return scores


def judge(path: Path, label: Label, preset: str) -> Row:
    """Return what was said of one run and, where its label can be scored, whether that fits."""
    seen = replay(read(path), preset)
    fit: Fit = {}
    if label.sure:
        fit, last = fits(seen, label), seen["last"]
        moved = [fits(seen, label.moved(by * last // MOVES, last)) for by in range(MOVES)]
        fit["by_chance"] = sum(one.get("found", False) for one in moved) / MOVES
    return {
        "run": path.stem, "kind": label.kind, "labels": label.dates, "onset_label": label.onset,
        **seen, **fit,
    }  # fmt: skip


def fits(row: Seen, label: Label) -> Fit:
    """Return which dates of a label the verdict on a run found; a date that is not labelled is left out."""
    fit: Fit = {}
    if label.dates:
        fit["hit"] = label.hit(row["stop"], row["transition"])
        near = {state for _, *dates, state in row["turns"] if label.hit(max(dates), dates)}
        fit["reported"] = fit["hit"] or bool(near - {"faded"})
        fit["noted"] = fit["reported"] or bool(near)
    if label.onset is not None:
        fit["onset_hit"] = _is_near(row["onset"], label.onset, label.tolerance)
    if label.saturation is not None:
        fit["saturation_hit"] = _is_near(row["saturation"], label.saturation, label.tolerance)
    if "reported" in fit or "onset_hit" in fit:
        fit["found"] = fit.get("reported", False) or fit.get("onset_hit", False)
    return fit


def _is_near(seen: int | None, date: float, tolerance: float) -> bool:
    return seen is not None and abs(seen - date) <= 2 * tolerance


def line(row: Row) -> str:
    """Return one run as a line of the table."""
    dated, label = row["transition"] or row["at_watch"], row["onset_label"]
    onset = f"{row['onset'] or '-'}{f' ({label:.0f})' if label else ''}"
    date = f"{dated[0]} [{dated[1]}-{dated[2]}]" if dated else "-"
    evidence = " ".join(f"{name[:6]} {score}" for name, score in row["evidence"].items())
    turns = " ".join(
        f"{kind[:6]}@{step}[{low}-{high}]{' faded' if state == 'faded' else ''}"
        for kind, step, low, high, state in row["turns"]
    )
    return (
        f"{row['run'][:46]:46} {row['kind']:10} {row['steps']:>5} {onset:>14} {row['watch'] or '-':>5}"
        f" {row['stop'] or '-':>5} {date:>18} {'/'.join(f'{e:.0f}' for e in row['labels']):>14}"
        f" {row['top']:5.0f}  {outcome(row)} {evidence} {turns}"
    )


def outcome(row: Row) -> str:
    """Return what the label says of the run's verdict, in a word or two."""
    if row["kind"] == "no" and row["stop"]:
        return "FALSE STOP"
    if "found" not in row:
        return ""
    words = {"hit": "hit", "reported": "reported", "noted": "faded"}
    turn = next((word for key, word in words.items() if row.get(key)), "")
    return f"{turn} {'onset' if row.get('onset_hit') else ''}".strip() or "missed"


def kept(row: Row, scores: dict[int, float]) -> Kept:
    """Return the evaluated checkpoint that following the verdict keeps, with its score."""
    step = scoring.kept(scores, row["transition"][3] if row["transition"] else max(scores))
    return {
        "run": row["run"], "stop": row["stop"], "of": row["steps"], "kept": step,
        "score": scores[step], "best": max(scores.values()), "last": scores[max(scores)],
    }  # fmt: skip


def summed(rows: list[Row]) -> Summary:
    """Return the counts over all runs."""
    negatives = [r for r in rows if r["kind"] == "no"]
    dated = [r for r in rows if "hit" in r]
    onsets = [r["onset_hit"] for r in rows if "onset_hit" in r]
    saturations = [r["saturation_hit"] for r in rows if "saturation_hit" in r]
    return {
        "negatives": len(negatives), "negative_steps": sum(r["steps"] for r in negatives),
        "false_stops": [r["run"] for r in negatives if r["stop"]],
        "false_watches": sum(bool(r["watch"]) for r in negatives),
        "dated": len(dated), "hits": sum(r["hit"] for r in dated),
        "reported": sum(r["reported"] for r in dated),
        "noted": sum(r["noted"] for r in dated),
        "negatives_noted": sum(bool(r["turns"]) for r in negatives),
        "onset_hits": [sum(onsets), len(onsets)],
        "saturation_hits": [sum(saturations), len(saturations)],
        "positives": sum("found" in r for r in rows), "found": sum(r.get("found", 0) for r in rows),
        "found_by_chance": sum(r["by_chance"] for r in rows if "found" in r),
        "unlabelled_stops": [r["run"] for r in rows if r["kind"] == "unlabelled" and r["stop"]],
    }  # fmt: skip


def show(rows: list[Row], evaluated: list[Kept], summary: Summary) -> None:
    """Print the tables."""
    print(
        f"{'run':46} {'kind':10} {'steps':>5} {'onset (label)':>14} {'watch':>5} {'stop':>5}"
        f" {'dated':>18} {'labels':>14} {'top':>5}"
    )
    print("\n".join(line(row) for row in rows))
    head = ("evaluated runs", "stop", "of", "kept", "score", "best", "last")
    print(f"\n{head[0]:46} {' '.join(f'{name:>5}' for name in head[1:])}")
    for one in evaluated:
        scores = " ".join(f"{score:5.1f}" for score in (one["score"], one["best"], one["last"]))
        print(
            f"{one['run'][:46]:46} {one['stop'] or '-':>5} {one['of']:>5} {one['kept']:>5} {scores}"
        )
    stops, steps = len(summary["false_stops"]), summary["negative_steps"]
    print(
        f"\nnegatives: {stops} false stops and {summary['false_watches']} false watches in"
        f" {summary['negatives']} runs, {steps} steps"
        f" ({10_000 * stops / max(steps, 1):.2f} stops per 10,000 steps)"
    )
    print(
        f"turns: {summary['hits']} of {summary['dated']} hit at the stop,"
        f" {summary['reported']} by the stop or a change point of the report at the end,"
        f" {summary['noted']} with those that faded"
        f" ({summary['negatives_noted']} of the negatives have any)"
    )
    dates = {"onsets": summary["onset_hits"], "saturations": summary["saturation_hits"]}
    for kinds, (hits, of) in dates.items():
        print(f"{kinds}: {hits} of {of} within twice the tolerance")
    print(
        f"labelled positives with a date: {summary['found']} of {summary['positives']} found"
        f" ({summary['found_by_chance']:.1f} would be if the labels lay anywhere in their runs)"
    )


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
    known = labels(args.logs / "ANNOTATIONS.csv")
    scores = held_out(args.logs / "EVALS.csv")
    paths = sorted((args.logs / "runs").glob("*.csv"))[:: 3 if args.quick else 1]
    rows = [judge(path, known.get(path.stem, Label()), args.preset) for path in paths]
    evaluated = [kept(row, scores[row["run"]]) for row in rows if row["run"] in scores]
    summary = summed(rows)
    telling = [r for r in rows if args.all or "found" in r or r["stop"] or r["watch"]]
    show(telling, evaluated, summary)
    if args.json:
        report = {"summary": {**summary, "evaluated": evaluated}, "rows": rows}
        args.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
