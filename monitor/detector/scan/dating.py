"""Dates a suspected change at full resolution: the transition, its change points, and a sentence."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from monitor.detector import constants
from monitor.detector.explain import change, joined
from monitor.detector.scan.scan import Scan, StepEvidence
from monitor.detector.scan.state import ROWS
from monitor.detector.signal.metrics import ACCURACY, LENGTH, METRICS
from monitor.detector.types import ChangePoint, Kind, State, Transition

_SPEAK_FOR: Mapping[Kind, tuple[int, ...]] = {
    "length_turn": (LENGTH,),
    "destabilisation": tuple(row for row in range(ROWS) if row != LENGTH),
}


class DatedChange(NamedTuple):
    """A transition, its change points, and one sentence on the change."""

    transition: Transition
    changes: tuple[ChangePoint, ...]
    words: str


def dated_change(scan: Scan, now: int, state: State) -> DatedChange | None:
    """Return the scan's change, dated at full resolution; None if there is no evidence to date."""
    date = scan.date()
    if date is None:
        return None
    steps, moment = scan.history.step, date.moment
    safest = int(min(date.safe, _accuracy_fell(scan, moment)))
    step, low, high, safe = map(steps, (date.index, date.low, date.high, safest))
    transition = Transition(step, low, high, max(safe - 1, 0), now, state)
    words = _since(scan, moment, transition)
    evidence = {
        metric.name: round(value**2, 1)
        for metric, value in zip(METRICS, moment.z, strict=True)
        if value > 0
    }
    changes = []
    for kind in _kinds(moment, evidence):
        own = scan.date(_SPEAK_FOR[kind]) or date
        at, low, high = map(steps, (own.index, own.low, own.high))
        spoke = {METRICS[row].name for row in _SPEAK_FOR[kind]}
        own_evidence = {name: value for name, value in evidence.items() if name in spoke}
        changes.append(ChangePoint(kind, at, low, high, state, now, own_evidence, words))
    return DatedChange(transition, tuple(changes), words)


def _kinds(moment: StepEvidence, evidence: Mapping[str, float]) -> list[Kind]:
    kinds: list[Kind] = ["length_turn"] if moment.z[LENGTH] >= constants.TURN_Z else []
    if len(evidence) > 1 or not kinds:
        kinds.append("destabilisation")
    return kinds


def _accuracy_fell(scan: Scan, moment: StepEvidence) -> float:
    """Return the point before accuracy itself began to fall; infinity if its z is below `constants.DATED_BY`.

    Accuracy often sinks before format breaks, and a checkpoint is kept for its accuracy.
    """
    own = scan.date((ACCURACY,))
    if own is None or own.moment.z[ACCURACY] < constants.DATED_BY:
        return math.inf
    return own.safe


def _since(scan: Scan, moment: StepEvidence, found: Transition) -> str:
    clauses = [change(row, moment, scan.readings[row]) for row in range(ROWS) if moment.z[row] >= 1]
    return f"Since step {found.step} (likely {found.low}-{found.high}) {joined(clauses)}."
