"""Forest plot of paired differences: a row a candidate, and a row a task below it where there are several.

Each row is an SVG as wide as its cell. Lengths are percentages, so that a row stretches without distortion and
stands in a table whose other cells hold the same numbers as text; the drawing is hidden from screen readers.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from webui import format

Record = Mapping[str, Any]

MOST_TICKS = 7
STEPS = (1, 2, 5, 10, 20, 50)  # points between two ticks
VERDICTS = ("better", "worse", "not distinguishable")


class Axis(NamedTuple):
    """The shared scale, as fractions of pass@1; 0 always lies on it."""

    low: float
    high: float

    def place(self, value: float) -> float:
        """Return where a value lies, in percent of the width, clipped to it."""
        return min(100.0, max(0.0, 100 * (value - self.low) / (self.high - self.low)))

    @property
    def ticks(self) -> list[float]:
        """At most MOST_TICKS round values on the scale."""
        span = 100 * (self.high - self.low)
        step = next((each for each in STEPS if span / each < MOST_TICKS), 50) / 100
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        return [step * each for each in range(first, last + 1)]


class ForestRow(NamedTuple):
    """One line of the plot: the candidate's difference overall (`task` None) or on one task."""

    candidate: Record
    task: str | None
    found: Record
    bar: Markup
    is_reference: bool = False


class Forest(NamedTuple):
    """The rows by step, the reference among them, and the axis below them."""

    rows: list[ForestRow]
    scale: Markup
    margin: float | None
    several: bool
    bounded: bool


def forest(comparison: Record | None) -> Forest | None:
    """Return the plot of a `Comparison` of docs/reference/rest.md, None where it has no row."""
    if not comparison or not comparison.get("rows"):
        return None
    margin = comparison.get("margin")
    rows = comparison["rows"]
    axis = axis_of([one for row in rows for one in (row, *row.get("tasks", ()))], margin)
    made = [line for row in rows for line in _lines(row, axis, margin)]
    reference = {**comparison["reference"], "roles": [comparison["reference"].get("role")]}
    shown = ForestRow(reference, None, {}, bar({}, axis, margin), is_reference=True)
    ordered = sorted([*made, shown], key=lambda line: line.candidate["step"])
    several = any(row.get("tasks") for row in rows)
    bounded = any(line.found.get("fixed_bound") for line in made)
    return Forest(ordered, _scale(axis), margin, several, bounded)


def axis_of(found: Iterable[Record], margin: float | None) -> Axis:
    """Return the scale that holds every interval, the margin and 0."""
    ends = [one.get(name) for one in found for name in ("low", "difference", "high")]
    known: list[Any] = [0.0, -(margin or 0.0), margin or 0.0, *filter(format.is_number, ends)]
    low, high = min(known), max(known)
    rim = 0.06 * (high - low) or 0.01
    return Axis(low - rim, high + rim)


def _lines(row: Record, axis: Axis, margin: float | None) -> list[ForestRow]:
    """Return the candidate's row and one for each of its tasks."""
    own = ForestRow(row, None, row, bar(row, axis, margin))
    tasks = row.get("tasks") or ()
    return [own, *(ForestRow(row, each["task"], each, bar(each, axis, margin)) for each in tasks)]


def bar(found: Record, axis: Axis, margin: float | None) -> Markup:
    """Return the interval, the shorter one for this fixed set, and a mark at the difference.

    Without a difference (the reference's row) only the zero line and the margin are drawn.
    """
    verdict = found.get("verdict")
    kind = verdict.replace(" ", "-") if verdict in VERDICTS else "none"
    drawn = Markup("").join(
        [
            _margin(axis, margin),
            *(_upright("tick", axis.place(each)) for each in axis.ticks if each),
            _upright("zero", axis.place(0.0)),
            _line("span", axis, found.get("low"), found.get("high")),
            _line("fixed", axis, found.get("fixed_low"), found.get("fixed_high")),
            _mark(axis, found.get("difference")),
        ]
    )
    return Markup(
        '<svg class="forest f-{}" width="100%" height="100%" aria-hidden="true">{}</svg>'
    ).format(kind, drawn)


def _margin(axis: Axis, margin: float | None) -> Markup:
    if not margin:
        return Markup("")
    left, right = axis.place(-margin), axis.place(margin)
    return Markup('<rect class="margin" x="{:.2f}%" width="{:.2f}%" height="100%"/>').format(
        left, right - left
    )


def _upright(name: str, place: float) -> Markup:
    return Markup('<line class="{0}" x1="{1:.2f}%" x2="{1:.2f}%" y1="0" y2="100%"/>').format(
        name, place
    )


def _line(name: str, axis: Axis, low: Any, high: Any) -> Markup:
    if not (format.is_number(low) and format.is_number(high)):
        return Markup("")
    return Markup('<line class="{}" x1="{:.2f}%" x2="{:.2f}%" y1="50%" y2="50%"/>').format(
        name, axis.place(low), axis.place(high)
    )


def _mark(axis: Axis, value: Any) -> Markup:
    if not format.is_number(value):
        return Markup("")
    return Markup(
        '<svg x="{:.2f}%" y="50%" overflow="visible"><path d="M0-5L5 0L0 5L-5 0Z"/></svg>'
    ).format(axis.place(value))


def _scale(axis: Axis) -> Markup:
    """Return the tick labels, in points."""
    labels = Markup("").join(
        Markup('<text x="{:.2f}%" y="11">{}</text>').format(
            axis.place(each), format.points(each).removesuffix(".0") if each else "0"
        )
        for each in axis.ticks
    )
    return Markup(
        '<svg class="forest scale" width="100%" height="14" aria-hidden="true">{}</svg>'
    ).format(labels)


def chosen(comparison: Record, row: Record) -> bool:
    """Return whether a row, or the reference, is the comparison's best."""
    best: Record | None = comparison.get("best")
    return best is not None and row["step"] == best["step"]


def tasks_of(rows: Sequence[ForestRow]) -> list[str]:
    """Return the tasks that have rows of their own, in the order of their first row."""
    return list(dict.fromkeys(row.task for row in rows if row.task is not None))
