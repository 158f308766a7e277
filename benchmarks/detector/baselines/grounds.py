"""The runs that every method is scored on: synthetic, simulated, real logs, tiny runs, the zoo."""

import json
from pathlib import Path

from benchmarks.detector.cases import Case
from benchmarks.detector.grpo_simulation import KINDS, make
from benchmarks.detector.real import LOGS, Label, held_out, labels
from benchmarks.detector.real import read as read_log
from benchmarks.detector.synthetic import STUDY, generator
from monitor.detector import RewardRange

TINY = Path(__file__).resolve().parents[4] / "shared/data/tiny_runs"
CALIBRATION, TEST, SIMULATED = 700_000, 920_000, 520_000  # first seeds


def synthetic(base: int, null: int, positive: int) -> list[Case]:
    """Return cases of the study's generator, `null` of each null kind and `positive` of the others."""
    if not STUDY.exists():
        return []
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


def simulated(base: int, healthy: int, positive: int) -> list[Case]:
    """Return cases of the second generator at logging_steps 1: so many seeds of each kind."""
    return [
        make(name, base + j).case()
        for name, kind in KINDS.items()
        for j in range(positive if kind.group == "positive" else healthy)
    ]
