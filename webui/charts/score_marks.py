"""Marks of held-out scores on the accuracy chart: evaluations and verifications, each with its interval."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from webui import format
from webui.charts.layout import Json, Record


def score_traces(evaluations: Iterable[Record]) -> list[Json]:
    """Return held-out pass@1 with 95 % intervals on the accuracy chart, one trace for each split.

    A step with a score on the report set does not also show the one on the selection set.
    """
    found = [e for e in evaluations if format.is_number(e.get("pass_at_1"))]
    reported = {e["step"] for e in found if e["split"] == "report"}
    found = [e for e in found if e["split"] == "report" or e["step"] not in reported]
    return [
        _score_trace(split, meaning, symbol, [e for e in found if e["split"] == split])
        for split, meaning, symbol in (
            ("selection", "held out, selection set", "circle-open"),
            ("report", "held out, report set", "diamond"),
        )
    ]


def verification_trace(found: Record | None) -> Json:
    """Return the mean scores of the verifications, squares.

    The interval at an earlier checkpoint is that of its paired difference to the weights that were measured
    with it, laid around their mean: it misses their line where they are worse or better for certain.
    """
    marks: dict[int, tuple[float, float, float, str]] = {}
    for one in reversed((found or {}).get("verifications") or ()):
        means = {s["step"]: s["mean"] for s in one["scored"] if format.is_number(s.get("mean"))}
        now = one["measured_step"]
        if now not in means:
            continue
        marks[now] = (means[now], means[now], means[now], f"{format.percent(means[now])}")
        for c in one["comparisons"]:
            if c["step"] in means:
                mean, low, high = means[c["step"]], means[now] - c["high"], means[now] - c["low"]
                span = f"{format.points(c['low'])} to {format.points(c['high'])}"
                said = f"{format.percent(mean)}; step {now} less this: {format.points(c['difference'])} ({span})"
                marks[c["step"]] = (mean, low, high, said)
    steps = sorted(marks)
    return _marks(
        "verification",
        {"role": "verification"},
        "square",
        steps,
        [marks[step] for step in steps],
    )


def _score_trace(split: str, meaning: str, symbol: str, found: Sequence[Record]) -> Json:
    ordered = sorted(found, key=lambda e: e["step"])
    return _marks(
        meaning,
        {"role": "score", "split": split},
        symbol,
        [e["step"] for e in ordered],
        [
            (
                e["pass_at_1"],
                e.get("low"),
                e.get("high"),
                f"{format.percent(e['pass_at_1'])} ({format.interval(e.get('low'), e.get('high'))})",
            )
            for e in ordered
        ],
    )


def _marks(
    name: str,
    meta: Mapping[str, str],
    symbol: str,
    steps: Sequence[int],
    marks: Sequence[tuple[float, Any, Any, str]],
) -> Json:
    """Return the trace of marks (value, low, high, text) at these steps, with their intervals."""
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "meta": dict(meta),
        "x": list(steps),
        "y": [value for value, *_ in marks],
        "yaxis": "y3",
        "cliponaxis": False,
        "marker": {"symbol": symbol, "size": 8, "color": "@score"},
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [_reach(high, value) for value, _, high, _ in marks],
            "arrayminus": [_reach(value, low) for value, low, _, _ in marks],
            "color": "@score",
            "thickness": 1.2,
            "width": 3,
        },
        "text": [text for *_, text in marks],
        "hovertemplate": "%{text}",
    }


def _reach(upper: Any, lower: Any) -> float:
    known = format.is_number(upper) and format.is_number(lower)
    return max(0.0, round(upper - lower, 6)) if known else 0.0
