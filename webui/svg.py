"""Inline SVG: sparklines, interval bars, evidence bars, progress bars.

Attributes only, no styles, for the content security policy. Colours come from the style sheets.
"""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from webui import format

SPARK_WIDTH, SPARK_HEIGHT = 72, 20


def sparkline(
    values: Sequence[Any] | None, label: str = "", *, from_0_to_1: bool = False
) -> Markup:
    """Return a line through the values, scaled to their range, with a dot at the last one.

    `from_0_to_1`: scaled to 0 to 1 at least, as a reward's noise alone would look like its whole course.
    """
    kept = [v for v in values or () if format.is_number(v)]
    points = spark_points(kept, (0.0, 1.0) if from_0_to_1 else ())
    dot = points.rpartition(" ")[2].partition(",")
    last = (
        Markup('<circle cx="{}" cy="{}" r="1.8"/>').format(dot[0], dot[2]) if points else Markup("")
    )
    about = f"{label}: {format.number(kept[0])} to {format.number(kept[-1])}" if kept else label
    return Markup(
        '<svg class="spark" viewBox="0 0 {} {}" role="img" aria-label="{}">'
        '<polyline points="{}"/>{}</svg>'
    ).format(SPARK_WIDTH, SPARK_HEIGHT, about, points, last)


def spark_points(values: Sequence[float], within: Sequence[float] = ()) -> str:
    """Return the polyline's points, scaled to the values and `within`; keep equal to `sparkPoints` of patch.js."""
    if not values:
        return ""
    low, high = min(*values, *within, values[0]), max(*values, *within, values[0])
    step = (SPARK_WIDTH - 4) / max(1, len(values) - 1)
    span = (high / 2 - low / 2) or 1.0  # halves: the difference of the largest floats overflows
    flat = high == low
    shares = [0.5 if flat else (high / 2 - v / 2) / span for v in values]
    return " ".join(
        f"{2 + i * step:.1f},{2 + (SPARK_HEIGHT - 4) * share:.1f}" for i, share in enumerate(shares)
    )


def progress(step: Any, total: Any, label: str = "progress") -> Markup:
    """Return a thin bar from 0 to the total; empty if the total is unknown."""
    share = (
        min(1.0, step / total)
        if format.is_number(step) and format.is_number(total) and total
        else 0
    )
    return Markup(
        '<svg class="progress" viewBox="0 0 100 4" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<rect class="track" width="100" height="4"/>'
        '<rect class="fill" data-f="progress" width="{:.1f}" height="4"/></svg>'
    ).format(label, 100 * share)


def score_bar(value: Any, low: Any, high: Any) -> Markup:
    """Return a bar for a fraction and its interval on a scale from 0 to 1."""
    if not format.is_number(value):
        return Markup("")
    ends = [v if format.is_number(v) else value for v in (low, high)]
    return _bar(100 * ends[0], 100 * ends[1], 100 * value, zero=None)


def difference_bar(value: Any, low: Any, high: Any, reach: float) -> Markup:
    """Return a bar for a signed difference and its interval; the scale is -`reach` to `reach`."""
    if not all(format.is_number(v) for v in (value, low, high)):
        return Markup("")
    left, right, centre = (50 + 50 * v / (reach or 1) for v in (low, high, value))
    return _bar(left, right, centre, zero=50)


def _bar(left: float, right: float, dot: float, zero: float | None) -> Markup:
    axis = Markup("") if zero is None else Markup('<path class="zero" d="M{0} 0V12"/>').format(zero)
    return Markup(
        '<svg class="interval" viewBox="0 0 100 12" preserveAspectRatio="none" aria-hidden="true">'
        '<path class="track" d="M0 6H100"/>{}<path class="span" d="M{:.1f} 6H{:.1f}"/>'
        '<path class="dot" d="M{:.1f} 2V10"/></svg>'
    ).format(axis, max(0.0, left), min(100.0, right), min(100.0, max(0.0, dot)))


def evidence_bar(found: dict[str, Any]) -> Markup:
    """Return a bar of the evidence with its thresholds, coloured by the metrics' parts."""
    levels = [v for v in (found["watch"], found["confirm"]) if format.is_number(v)]
    score = found["score"] if format.is_number(found["score"]) else 0.0
    reach = 1.08 * max([score, *levels, 1.0])
    # Metrics share evidence, so the parts may sum to more than the total: the bar shows the total.
    share = score / (sum(v for _, v in found["parts"]) or 1.0)
    pieces, at = Markup(""), 0.0
    for name, part in found["parts"]:
        value = share * part
        pieces += Markup('<rect class="m-{}" x="{:.2f}" width="{:.2f}" y="6" height="14"/>').format(
            css_name(name), 100 * at / reach, 100 * value / reach
        )
        at += value
    for name in ("watch", "confirm"):
        if format.is_number(found[name]):
            place = 100 * found[name] / reach
            pieces += Markup('<path class="{0}" d="M{1:.2f} 1V25"/>').format(name, place)
    return Markup(
        '<svg class="evidence" viewBox="0 0 100 26" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<rect class="track" width="100" y="6" height="14"/>{}</svg>'
    ).format(found["words"], pieces)


def css_name(metric: str) -> str:
    """Return the class suffix of a metric's colour; rare metrics share one."""
    known = ("format_reward", "completion_length", "accuracy_reward", "entropy")
    return metric if metric in known else "other"
