"""One way of scoring for every detector and baseline: what a case is, what an outcome is, what counts.

stop          the step after which a method ends the run; None = it never does
detected      a stop on a positive run, not more than EARLY steps before the true transition
early         a stop before that: not detected, and a false one
delay         stop minus true transition; a run never stopped counts as infinite in the quantiles
date error    |dated step - true transition| of detected runs
hit           the dated step within twice the label's tolerance of a label, or the label in the interval,
              and the stop not more than twice the tolerance before the first label
false stops   per 1,000 logged steps of runs without a transition that were seen until the stop
regret        best held-out score of all checkpoints of the whole run minus that of the one kept
saved         share of the run's steps not trained because of the stop
"""

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from benchmarks.detector.cases import Case, Outcome
from monitor.detector import Detector, RunShape, Sample, Transition
from monitor.policy import candidates as candidates_policy
from monitor.policy.decide import Saved
from monitor.replay.verified import is_stop

EARLY = 20


@dataclass(frozen=True)
class Regret:
    """What following a method cost in held-out score, by who names the checkpoint."""

    signals: float
    evaluation: float
    last: float
    saved: float


def cusp(case: Case, preset: str = "default") -> Outcome:
    """Return what Cusp's detector does with a case: fold until it is confirmed or collapsed."""
    shape = RunShape(
        completions_per_point=case.completions,
        completion_limit_tokens=case.completion_limit,
        rewards=case.rewards,
    )
    detector, begin = Detector(shape, preset), time.process_time()
    arose: list[int] = []
    suspected = False
    for seen, (step, metrics) in enumerate(case.points, 1):
        verdict = detector.update(Sample(step, metrics))
        t = verdict.transition
        if t and not suspected:
            arose.append(step)
        suspected = t is not None
        if is_stop(verdict):
            dated = (t.step, t.low, t.high, t.safe_step) if t else (step, step, step, step)
            first, used = arose[0] if arose else None, time.process_time() - begin
            return Outcome(step, *dated, first, seen, used, tuple(arose))
    return Outcome(
        watch=arose[0] if arose else None,
        points=len(case.points),
        seconds=time.process_time() - begin,
        suspicions=tuple(arose),
    )


def suspected_at(case: Case, outcome: Outcome) -> int | None:
    """Return the first suspicion of a positive run that is not too early; a stop is one, too.

    One that arose more than EARLY steps before the truth and never lapsed is none.
    """
    found = [*outcome.suspicions, *([] if outcome.stop is None else [outcome.stop])]
    return min(
        (s for s in found if case.truth is not None and s >= case.truth - EARLY), default=None
    )


def is_early(case: Case, outcome: Outcome) -> bool:
    """Return whether a positive run was stopped before there was anything to see."""
    return outcome.stop is not None and case.truth is not None and outcome.stop < case.truth - EARLY


def is_detected(case: Case, outcome: Outcome) -> bool:
    """Return whether the transition of a positive run was detected."""
    return outcome.stop is not None and not is_early(case, outcome)


def delay(case: Case, outcome: Outcome) -> float:
    """Return the steps from the truth to the stop, infinite if it was not detected."""
    if case.truth is None or outcome.stop is None or is_early(case, outcome):
        return math.inf
    return outcome.stop - case.truth


def date_error(case: Case, outcome: Outcome) -> float:
    """Return how far the dated step is from the truth, in steps."""
    return abs((outcome.step or 0) - (case.truth or 0))


def is_hit(case: Case, outcome: Outcome) -> bool:
    """Return whether the stop and its date fit a label made by eye."""
    if outcome.stop is None or outcome.step is None or not case.labels:
        return False
    low, high = outcome.low or outcome.step, outcome.high or outcome.step
    near = any(
        abs(outcome.step - label) <= 2 * case.tolerance or low <= label <= high
        for label in case.labels
    )
    return near and outcome.stop >= min(case.labels) - 2 * case.tolerance


def false_stops_per_1000(cases: Sequence[Case], outcomes: Sequence[Outcome]) -> float:
    """Return the stops of runs without a transition per 1,000 points seen."""
    seen = sum(outcome.points for outcome in outcomes)
    return 1000 * sum(outcome.stop is not None for outcome in outcomes) / max(seen, 1)


def kept(scores: Mapping[int, float], safe: int) -> int:
    """Return the last scored checkpoint at or before a step; the first one if none is so early."""
    return max((step for step in scores if step <= safe), default=min(scores))


def candidates(case: Case, outcome: Outcome) -> list[int]:
    """Return the checkpoints that the product would evaluate, by its own rule (monitor/policy/decide.py).

    The same rule serves every method, with its own stop and date: a run stopped or at its end has
    up to nine checkpoints scored, the base model among them.
    """
    stop = case.last if outcome.stop is None else outcome.stop
    saved = [Saved(str(s), s, "", "") for s in case.selection if 0 < s <= stop]
    accuracy = {
        step: metrics["accuracy_reward"]
        for step, metrics in case.points
        if step <= stop and "accuracy_reward" in metrics
    }
    transition = None
    if outcome.stop is not None and outcome.safe is not None:
        step = outcome.step or outcome.safe
        transition = Transition(step, step, step, outcome.safe, outcome.stop, "confirmed")
    found = candidates_policy.candidates(transition, saved, accuracy)
    return [one.step for one in found if one.step in case.selection]


def regret(case: Case, outcome: Outcome) -> Regret:
    """Return what following `outcome` cost.

    By the signals a run that is not stopped keeps its last checkpoint, or the one a method names.
    With the evaluation the best
    on the selection set of the candidates is kept, stopped or not (see `candidates`).
    """
    report, last = case.report, max(case.report)
    best = max(report.values())
    safe = last if outcome.safe is None else outcome.safe
    chosen = max(candidates(case, outcome), key=lambda s: (case.selection[s], s))
    saved = 0.0 if outcome.stop is None else 1 - outcome.stop / case.last
    return Regret(
        best - report[kept(report, safe)], best - report[chosen], best - report[last], saved
    )


def quantile(values: Sequence[float], q: float) -> float:
    """Return a quantile that is one of the values, so infinity may be among them."""
    ordered = sorted(values)
    return ordered[min(int(q * len(ordered)), len(ordered) - 1)] if ordered else math.nan


# ------------------------------------------------------------------------------------- tables

Named = Sequence[tuple[str, Sequence[Outcome]]]


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table, padded so that it reads well as text, too."""
    widths = [max(len(str(row[i])) for row in [head, *rows]) for i in range(len(head))]
    lines = [[str(c).ljust(w) for c, w in zip(row, widths, strict=True)] for row in [head, *rows]]
    lines.insert(1, ["-" * w for w in widths])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def synthetic_table(named: Named, cases: Sequence[Case], hard: str = "data shift stopped") -> str:
    """Return the table for cases with known truth: kinds `null`, `hard` and `positive`."""
    head = ("method", "null runs stopped", "false stops per 1,000 steps", hard,
            "detected", "early", "delay 50 %", "delay 90 %", "date error 50 %", "us a step")  # fmt: skip
    return markdown(head, [_synthetic_row(name, cases, found) for name, found in named])


def _synthetic_row(name: str, cases: Sequence[Case], outcomes: Sequence[Outcome]) -> list[str]:
    pairs = list(zip(cases, outcomes, strict=True))
    null = [p for p in pairs if p[0].kind == "null"]
    hard = [p for p in pairs if p[0].kind == "hard"]
    positive = [p for p in pairs if p[0].kind == "positive"]
    found = [p for p in positive if is_detected(*p)]
    delays = [delay(*p) for p in positive]
    rate = false_stops_per_1000([c for c, _ in null], [o for _, o in null])
    us = 1e6 * sum(o.seconds for o in outcomes) / max(sum(o.points for o in outcomes), 1)
    return [
        name, f"{sum(o.stop is not None for _, o in null)}/{len(null)}", f"{rate:.3f}",
        f"{sum(o.stop is not None for _, o in hard)}/{len(hard)}",
        f"{len(found) / max(len(positive), 1):.1%}",
        f"{sum(is_early(*p) for p in positive) / max(len(positive), 1):.1%}",
        _steps(quantile(delays, 0.5)), _steps(quantile(delays, 0.9)),
        _steps(quantile([date_error(*p) for p in found], 0.5)), f"{us:.0f}",
    ]  # fmt: skip


def _steps(value: float) -> str:
    return "–" if math.isnan(value) else "never" if math.isinf(value) else f"{value:.0f}"


def regret_table(named: Named, cases: Sequence[Case]) -> str:
    """Return the table for runs with held-out scores; `healthy` and `lost` are kinds."""
    head = ("method", "regret, signals", "regret, with evaluation", "regret, last", "steps saved",
            "healthy runs stopped", "losing runs stopped")  # fmt: skip
    return markdown(head, [_regret_row(name, cases, found) for name, found in named])


def _regret_row(name: str, cases: Sequence[Case], outcomes: Sequence[Outcome]) -> list[str]:
    pairs = list(zip(cases, outcomes, strict=True))
    costs = [regret(*pair) for pair in pairs]

    def mean(key: str) -> float:
        return float(np.mean([getattr(cost, key) for cost in costs]))

    def stopped(kind: str) -> str:
        part = [o for c, o in pairs if c.kind == kind]
        return f"{sum(o.stop is not None for o in part)}/{len(part)}"

    return [
        name, f"{mean('signals'):.3f}", f"{mean('evaluation'):.3f}", f"{mean('last'):.3f}",
        f"{mean('saved'):.0%}", stopped("healthy"), stopped("lost"),
    ]  # fmt: skip


def label_table(named: Named, cases: Sequence[Case]) -> str:
    """Return the table for real logs with labels: kinds `no` and `dated`, others are left out."""
    head = ("method", "negatives stopped", "per 1,000 steps", "dated positives hit",
            "evaluated runs: kept", "of a best of", "stopped at")  # fmt: skip
    rows = []
    for name, found in named:
        pairs = list(zip(cases, found, strict=True))
        no = [o for c, o in pairs if c.kind == "no"]
        dated = [p for p in pairs if p[0].kind == "dated"]
        scored = [p for p in pairs if p[0].report]
        scores = [c.report[kept(c.report, c.last if o.safe is None else o.safe)] for c, o in scored]
        rows.append([
            name, f"{sum(o.stop is not None for o in no)}/{len(no)}",
            f"{false_stops_per_1000([], no):.2f}",
            f"{sum(is_hit(*p) for p in dated)}/{len(dated)}",
            ", ".join(f"{k:.1f}" for k in scores),
            ", ".join(f"{max(c.report.values()):.1f}" for c, _ in scored),
            ", ".join("–" if o.stop is None else f"{o.stop}" for _, o in scored),
        ])  # fmt: skip
    return markdown(head, rows)


def run_table(cases: Sequence[Case], outcomes: Sequence[Outcome]) -> str:
    """Return one line for every run with held-out scores."""
    rows = []
    for case, outcome in zip(cases, outcomes, strict=True):
        cost = regret(case, outcome)
        dated = "–" if outcome.step is None else f"{outcome.step} [{outcome.low}–{outcome.high}]"
        rows.append([
            case.name, case.kind, "–" if outcome.stop is None else str(outcome.stop), dated,
            f"{cost.signals:.3f}", f"{cost.evaluation:.3f}", f"{cost.last:.3f}", f"{cost.saved:.0%}",
        ])  # fmt: skip
    head = ("run", "held out", "stop", "dated", "signals", "evaluation", "last", "saved")
    return markdown(head, rows)


def as_json(cases: Sequence[Case], methods: Mapping[str, Sequence[Outcome]]) -> str:
    """Return every outcome of every method, with what was true."""
    known = [{"name": c.name, "kind": c.kind, "truth": c.truth, "last": c.last} for c in cases]
    found = {name: [asdict(o) for o in outcomes] for name, outcomes in methods.items()}
    return json.dumps({"cases": known, "outcomes": found}, indent=1)
