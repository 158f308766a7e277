"""Text about changes and evidence, with numbers, for people."""

from monitor.detector.scan.scan import Scan, StepEvidence
from monitor.detector.signal.metrics import ENTROPY, FORMAT, LENGTH, METRICS
from monitor.detector.signal.transform import MetricSignal
from monitor.detector.types import Evidence

_QUIET = tuple(
    Evidence(metric.name, 0.0, 0.0, True, f"{metric.label} shows no change for the worse")
    for metric in METRICS
)


def amount(row: int, value: float) -> str:
    """Return a raw value rounded for people.

    >>> amount(0, 0.8134), amount(2, 1710.2), amount(2, 28.64)
    ('0.81', '1710', '28.6')
    """
    if row == LENGTH:
        return f"{value:.0f}" if value >= 100 else f"{value:.1f}"
    return f"{value:.3f}" if row == ENTROPY and value < 0.1 else f"{value:.2f}"


def change(row: int, moment: StepEvidence, reading: MetricSignal) -> str:
    """Return text like "format reward fell from 0.94 to 0.81" for one metric."""
    metric = METRICS[row]
    before = amount(row, reading.raw(moment.before[row]))
    after = amount(row, reading.raw(moment.after[row]))
    if row == LENGTH:
        return f"{metric.label} turned from {before} up to {after}{metric.unit}"
    verb = "fell" if metric.bad < 0 else "rose"
    return f"{metric.label} {verb} from {before} to {after}{metric.unit}"


def sources(moment: StepEvidence) -> str:
    """Return the evidence by metric, the greatest first, like "format 31, length 21"."""
    parts = zip(moment.parts, (metric.short for metric in METRICS), strict=True)
    found = [f"{short} {part:.0f}" for part, short in sorted(parts, reverse=True) if part >= 0.5]
    return ", ".join(found)


def joined(clauses: list[str]) -> str:
    """Return the clauses joined by commas and a final "and".

    >>> joined(["a", "b", "c"]), joined(["a"])
    ('a, b and c', 'a')
    """
    if len(clauses) < 2:
        return "".join(clauses)
    return f"{', '.join(clauses[:-1])} and {clauses[-1]}"


def why_not_armed(row: int, reading: MetricSignal, *, has_format: bool) -> str:
    """Return the reason why a metric's gate is closed."""
    label = METRICS[row].label
    if not reading.count:
        return f"{label} is not measured"
    if row == FORMAT:
        return f"{label} has neither risen significantly nor been above half for 64 points yet"
    if row == LENGTH:
        return f"{label} has not fallen yet: only an explosion of 35 % would count"
    if row == ENTROPY and has_format:
        return f"{label} is not compared before the format reward has risen"
    return f"{label} has {reading.count} points so far; 16 are needed"


def evidence_of(
    row: int, moment: StepEvidence | None, scan: Scan, ended_at: int | None, at_limit: int
) -> Evidence:
    """Return one metric's evidence with its words.

    `ended_at` is the last step of a metric that is not measured any more, `at_limit` the number of points
    for which length has been at its limit.
    """
    name, reading, armed = METRICS[row].name, scan.readings[row], scan.armed[row] is not None
    if moment and moment.z[row] > 0:
        words = change(row, moment, reading)
        if row == LENGTH and at_limit:
            words += f", at its limit for {at_limit} points"
        return Evidence(name, moment.parts[row], moment.z[row], armed, words)
    if armed and ended_at is not None:
        words = f"{METRICS[row].label} was last measured at step {ended_at}"
        return Evidence(name, 0.0, 0.0, True, words)
    if armed:
        return _QUIET[row]
    words = why_not_armed(row, reading, has_format=scan.readings[FORMAT].count > 0)
    return Evidence(name, 0.0, 0.0, False, words)
