"""Text about changes and evidence, with numbers, for people."""

from monitor.detector.scan.scan import StepEvidence
from monitor.detector.signal.metrics import ENTROPY, FORMAT, LENGTH, METRICS
from monitor.detector.signal.transform import MetricSignal


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
