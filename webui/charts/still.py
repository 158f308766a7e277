"""A figure as an SVG that the page carries: it is seen before plotly.js has come, without JavaScript, and when printed.

The same traces, shapes and titles as chart.js draws, from the same figure, in the place where plotly.js puts them. Its
width is that of the page: the lines lie in a box that is stretched, texts and marks at shares of the width. Attributes
only, no styles, for the content security policy; colours are variables of the style sheets, so both schemes hold.
"""

import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

from webui.charts.layout import MARGIN, Json
from webui.charts.series import Floats, places

WIDE, FINE = 2_000, 10
"""Units of the stretched box: half a pixel of a wide chart across, a tenth of one down."""
MOST_POINTS, MOST_SMOOTH = 1_200, 300
"""Points of a line of raw values, extremes kept, and of a smooth one: what a chart 1,000 px wide can show."""
FARTHEST = 1e6  # units from the box: a value far beyond an axis is not seen anyway
PADDING = 1 / 18
"""Share of the extent that an axis goes on at either end, as plotly.js draws it: 5 % of the axis."""
LAST_LABEL = 90  # percent of the width; a label that begins beyond would leave the page
SYMBOLS: Mapping[str, str] = {
    "circle": "M-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0-7 0",
    "circle-open": "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0",
    "diamond": "M0-6L6 0L0 6L-6 0z",
    "line-ns-open": "M0-5V5",
    "square": "M-4-4H4V4H-4z",
    "star": "M0-6.5L1.6-2.2L6-2L2.6.8L3.8 5.2L0 2.7L-3.8 5.2L-2.6.8L-6-2L-1.6-2.2z",
    "triangle-up": "M0-6L6 4.5H-6z",
}
_DASHES = {"dot": "2 3", "dash": "6 4"}


class StillAxis(NamedTuple):
    """An axis: the values at its two ends, and the pixels at which these stand."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: Any) -> Any:
        """Return the pixel of a value, or of an array of them."""
        share = (value / 2 - self.low / 2) / (self.high / 2 - self.low / 2)
        return self.start + share * (self.end - self.start)


def still(figure: Json) -> Markup:
    """Return the figure as an SVG; nothing for a figure without points."""
    if figure["cusp"]["last_step"] is None:
        return Markup("")
    layout = figure["layout"]
    tall = layout["height"] - MARGIN["t"] - MARGIN["b"]
    across = _across(figure)
    down = {name: _down(name, figure, tall) for name in layout if name.startswith("yaxis")}
    axes = {"y" + name.removeprefix("yaxis"): scale for name, scale in down.items()}
    lines: dict[str, list[Markup]] = {name: [] for name in axes}
    marks = []
    for trace in figure["data"]:
        scale = axes[trace["yaxis"]]
        if "lines" in trace["mode"]:
            lines[trace["yaxis"]].append(_line(trace, across, scale))
        else:
            lines[trace["yaxis"]].append(_whiskers(trace, across, scale))
            marks += _marks(trace, across, scale)
    boxes = [_stretched(some, axes[name]) for name, some in lines.items()]
    shapes = layout["shapes"]
    bands = [_band(one, across) for one in shapes if one["type"] == "rect"]
    rules = [_rule(one, across, axes, tall) for one in shapes if one["type"] == "line"]
    parts = [*bands, *_ticks(across, down, layout, tall), *boxes, *rules, *marks]
    parts += [_text(one, across, axes, tall) for one in layout["annotations"]]
    return Markup('<svg class="still" height="{}" aria-hidden="true">{}</svg>').format(
        tall, Markup("").join(parts)
    )


def _across(figure: Json) -> StillAxis:
    """Return the scale of the steps, in percent of the width."""
    shapes = (
        one[end] for one in figure["layout"]["shapes"] if one["xref"] == "x" for end in ("x0", "x1")
    )
    low, high = _extent(
        [*shapes, *(x for trace in figure["data"] for x in trace["x"] if x is not None)]
    )
    if high == low:
        low, high = low - 1, high + 1
    return StillAxis(low, high, 0.0, 100.0)


def _down(name: str, figure: Json, tall: float) -> StillAxis:
    """Return the scale of a y axis, in pixels from the top."""
    axis = figure["layout"][name]
    below, above = axis["domain"]
    ends = (1 - below) * tall, (1 - above) * tall
    if "range" in axis:
        low, high = axis["range"]
        return StillAxis(low, high, *ends)
    on = "y" + name.removeprefix("yaxis")
    shown = (trace for trace in figure["data"] if trace["yaxis"] == on)
    values = [y for trace in shown for y in _reached(trace)]
    low, high = _extent([*values, *axis.get("autorangeoptions", {}).get("include", ())])
    if high == low:
        return StillAxis(low - 1, high + 1, *ends)
    pad = (high / 2 - low / 2) * (2 * PADDING)
    low = 0.0 if axis.get("rangemode") == "tozero" else max(-sys.float_info.max, low - pad)
    return StillAxis(low, min(sys.float_info.max, high + pad), *ends)


def _extent(values: Iterable[float]) -> tuple[float, float]:
    known = list(values)
    return (min(known), max(known)) if known else (0.0, 1.0)


def _reached(trace: Json) -> Iterator[float]:
    """Return the values of a trace, and the ends of its intervals."""
    found = [y for y in trace["y"] if y is not None]
    yield from found
    if errors := trace.get("error_y"):
        yield from (y + up for y, up in zip(found, errors["array"], strict=True))
        yield from (y - down for y, down in zip(found, errors["arrayminus"], strict=True))


def _paint(token: str) -> str:
    """Return a colour of the style sheets: `@band_past` is `--band-past` there."""
    return f"var(--{token[1:].replace('_', '-')})" if token.startswith("@") else token


def _stroke(trace: Json, path: str) -> Markup:
    line = trace["line"]
    return Markup('<path d="{}" stroke="{}" stroke-width="{}" stroke-opacity="{}"{}/>').format(
        path, _paint(line["color"]), line.get("width", 2), trace.get("opacity", 1), _dash(line)
    )


def _dash(line: Json) -> Markup:
    dash = _DASHES.get(line.get("dash", "solid"))
    return Markup(' stroke-dasharray="{}"').format(dash) if dash else Markup("")


def _stretched(lines: Sequence[Markup], down: StillAxis) -> Markup:
    """Return the box of the lines on one axis: what lies beyond its ends is not seen."""
    tall = down.start - down.end
    return Markup(
        '<svg class="lines" y="{0:.1f}" width="100%" height="{1:.1f}" viewBox="0 {2:.0f} {4} {3:.0f}"'
        ' preserveAspectRatio="none">{5}</svg>'
    ).format(down.end, tall, down.end * FINE, tall * FINE, WIDE, Markup("").join(lines))


def _line(trace: Json, across: StillAxis, down: StillAxis) -> Markup:
    """Return the line of a trace; where a value is missing it is broken."""
    x, y = (np.array(trace[name], dtype=np.float64) for name in "xy")  # None becomes NaN
    missing = np.isnan(x) | np.isnan(y)
    if not missing.any():
        kept = places(y, MOST_POINTS if trace["meta"]["role"] == "values" else MOST_SMOOTH)
        x, y, missing = x[kept], y[kept], missing[kept]
    columns, rows = _units(across.at(x) * (WIDE / 100)), _units(down.at(y) * FINE)
    stepped = trace["line"].get("shape") == "hv"
    path = ""
    for piece in np.split(np.arange(len(x)), np.flatnonzero(missing)):
        if len(shown := piece[~missing[piece]]):
            path += _path(columns[shown], rows[shown], stepped=stepped)
    return _stroke(trace, path) if path else Markup("")


def _units(found: Floats) -> NDArray[np.int64]:
    return np.rint(np.clip(np.nan_to_num(found), -FARTHEST, FARTHEST)).astype(np.int64)


def _path(columns: NDArray[np.int64], rows: NDArray[np.int64], *, stepped: bool) -> str:
    """Return the path through these places of the box, each relative to the one before."""
    if stepped:  # a level holds until the next one
        columns, rows = np.repeat(columns, 2)[1:], np.repeat(rows, 2)[:-1]
    moves = np.diff(np.stack((columns, rows), axis=1), axis=0)
    moves = moves[moves.any(axis=1)]
    rest = "l" + " ".join(map(str, moves.ravel().tolist())) if len(moves) else ""
    return f"M{columns[0]} {rows[0]}{rest}"


def _whiskers(trace: Json, across: StillAxis, down: StillAxis) -> Markup:
    """Return the intervals of marks; and small round marks, of which there may be thousands, as dots."""
    spots = [
        (round(across.at(x) * WIDE / 100), y) for x, y in zip(trace["x"], trace["y"], strict=True)
    ]
    if trace["meta"]["role"] == "superseded" and spots:
        dots = "".join(f"M{x} {round(down.at(y) * FINE)}h0" for x, y in spots)
        look = {"color": trace["marker"]["color"], "width": trace["marker"]["size"]}
        return Markup('<g stroke-linecap="round">{}</g>').format(_stroke({"line": look}, dots))
    if not (errors := trace.get("error_y")) or not spots:
        return Markup("")
    path = "".join(
        f"M{x} {round(down.at(y - minus) * FINE)}V{round(down.at(y + plus) * FINE)}"
        for (x, y), plus, minus in zip(spots, errors["array"], errors["arrayminus"], strict=True)
    )
    return _stroke({"line": {"color": errors["color"], "width": errors["thickness"]}}, path)


def _marks(trace: Json, across: StillAxis, down: StillAxis) -> list[Markup]:
    """Return the marks of a trace, each with its shape."""
    if trace["meta"]["role"] == "superseded":
        return []
    look = trace["marker"]
    color = _paint(look["color"])
    fill = "none" if look["symbol"].endswith("-open") else color
    return [
        Markup(
            '<svg class="mark" x="{:.3f}%" y="{:.1f}"><path d="{}" fill="{}" stroke="{}"/></svg>'
        ).format(across.at(x), down.at(y), SYMBOLS[look["symbol"]], fill, color)
        for x, y in zip(trace["x"], trace["y"], strict=True)
    ]


def _band(shape: Json, across: StillAxis) -> Markup:
    start, end = across.at(shape["x0"]), across.at(shape["x1"])
    return Markup('<rect x="{:.3f}%" width="{:.3f}%" height="100%" fill="{}"/>').format(
        start, max(0.0, end - start), _paint(shape["fillcolor"])
    )


def _rule(shape: Json, across: StillAxis, axes: Mapping[str, StillAxis], tall: float) -> Markup:
    """Return a straight line: upright at a step, or level at a value."""
    line = shape["line"]
    if shape["xref"] == "x":
        ends = f"{across.at(shape['x0']):.3f}%", 0.0, f"{across.at(shape['x1']):.3f}%", tall
    else:
        y = axes[shape["yref"]].at(shape["y0"])
        ends = "0", y, "100%", y
    return Markup(
        '<line x1="{}" y1="{:.1f}" x2="{}" y2="{:.1f}" stroke="{}" stroke-width="{}"{}/>'
    ).format(*ends, _paint(line["color"]), line["width"], _dash(line))


def _text(note: Json, across: StillAxis, axes: Mapping[str, StillAxis], tall: float) -> Markup:
    """Return a title or a label where the layout has it."""
    x = across.at(note["x"]) if note["xref"] == "x" else 100 * note["x"]
    y = (1 - note["y"]) * tall if note["yref"] == "paper" else axes[note["yref"]].at(note["y"])
    font = note["font"]
    anchor = {"left": "start", "right": "end"}[note["xanchor"]]
    if anchor == "start" and x > LAST_LABEL:
        x, anchor = 100.0, "end"
    return Markup(
        '<text x="{:.3f}%" y="{:.1f}" text-anchor="{}" font-size="{}" font-weight="{}" fill="{}">{}</text>'
    ).format(
        x,
        y - 4,
        anchor,
        font["size"],
        font.get("weight", "normal"),
        _paint(font["color"]),
        _plain(note["text"]),
    )


def _plain(charted: str) -> Markup:
    """Return a text that was made safe for plotly.js as it is read."""
    return escape(Markup(charted).unescape())


def _ticks(
    across: StillAxis, down: Mapping[str, StillAxis], layout: Json, tall: float
) -> Iterator[Markup]:
    """Return grid lines with the numbers beside them, and the title of the x axis."""
    grid = Markup('<line x1="{}" y1="{:.1f}" x2="{}" y2="{:.1f}" stroke="var(--grid)"/>')
    number = Markup('<text x="{}" y="{:.1f}" text-anchor="{}" fill="var(--ink-2)">{}</text>')
    for value in round_values(across.low, across.high, 8):
        x = f"{across.at(value):.3f}%"
        for name, scale in down.items():
            if layout[name].get("showgrid", True):
                yield grid.format(x, scale.end, x, scale.start)
        yield number.format(x, tall + 14, "middle", f"{value:,.0f}")
    yield number.format("50%", tall + 29, "middle", layout["xaxis"]["title"]["text"])
    for name, scale in down.items():
        if layout[name].get("showticklabels", True):
            for value in round_values(scale.low, scale.high, 4):
                y = scale.at(value)
                yield grid.format("0", y, "100%", y)
                yield number.format("-5", y + 4, "end", f"{value:.6g}")


def round_values(low: float, high: float, most: int) -> list[float]:
    """Return at most so many round values within two ends, by 1, 2 or 5 times a power of ten.

    >>> round_values(-0.05, 1.05, 4)
    [0.0, 0.5, 1.0]
    """
    least = (high / 2 - low / 2) / most * 2
    if not 0 < least < math.inf:
        return []
    power = 10.0 ** math.floor(math.log10(least))
    by: float = next(power * n for n in (1, 2, 5, 10) if power * n >= least * (1 - 1e-9))
    return [n * by for n in range(math.ceil(low / by), math.floor(high / by) + 1)][: most + 1]
