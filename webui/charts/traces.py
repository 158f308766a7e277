"""Traces of the charts: metrics, evidence, checkpoint flags, held-out scores."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from webui import format
from webui.charts import series as lines
from webui.charts.layout import Json, Record
from webui.charts.series import downsample

EVIDENCE_ORDER = ("format_reward", "completion_length", "accuracy_reward", "entropy")
ALWAYS_DRAWN = (*EVIDENCE_ORDER, "format_volatility")
FLAGS = (
    # (role, label, marker symbol, size in px)
    ("present", "saved", "line-ns-open", 8),
    ("pinned", "pinned", "circle", 7),
    ("pre-transition", "pre-transition", "triangle-up", 11),
    ("best", "best", "star", 12),
    ("production", "production", "diamond", 11),
)
GONE = ("missing", "corrupt")


def evidence_traces(verdicts: Record | None) -> list[Json]:
    """Return the evidence of each metric as thin lines and the total as a thick one.

    Not stacked: shared evidence counts once in the total, so the parts may sum to more.
    """
    found = verdicts or {"steps": [], "scores": [], "evidence": {}}
    names = sorted({*ALWAYS_DRAWN, *found["evidence"]}, key=_evidence_rank)
    drawn = downsample(found["scores"])
    steps = [found["steps"][i] for i in drawn]
    parts = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": f"evidence: {format.charted(format.short_metric(name))}",
            "meta": {"role": "evidence", "metric": name},
            "x": steps,
            "y": [column[i] or 0 for i in drawn],
            "yaxis": "y4",
            "line": {"width": 1.4, "color": evidence_color(name)},
            "hoverinfo": "skip",
        }
        for name in names
        for column in [found["evidence"].get(name) or [0] * len(found["steps"])]
    ]
    total = {
        "type": "scatter",
        "mode": "lines",
        "name": "evidence",
        "meta": {"role": "score_total"},
        "x": steps,
        "y": [found["scores"][i] for i in drawn],
        "yaxis": "y4",
        "line": {"color": "@ink", "width": 2.2},
        "hovertemplate": "%{y:.3~g}",
    }
    return [*parts, total]


def evidence_color(name: str) -> str:
    """Return the colour token of a metric's evidence; rare metrics share one."""
    return f"@{name}" if name in EVIDENCE_ORDER else "@metric"


def _evidence_rank(name: str) -> tuple[int, str]:
    known = name in EVIDENCE_ORDER
    return (EVIDENCE_ORDER.index(name) if known else len(EVIDENCE_ORDER), name)


def metric_traces(
    name: str, one: Record | None, axis: str, weight: float, limit: int = lines.MAX_POINTS
) -> list[Json]:
    """Return the traces of superseded values (grey), values (faint) and their average (strong)."""
    steps, values = lines.pairs(one)
    if one and "average" in one:  # of a series that was thinned already
        drawn, average = list(range(len(steps))), [round(value, 6) for value in one["average"]]
    else:
        drawn, average = lines.downsample(values, limit), lines.smoothed(values, weight)
    old_steps, old_values = lines.pairs((one or {}).get("superseded"))
    label = format.charted(format.metric(name))
    color = evidence_color(name)
    old = {"mode": "markers", "marker": {"color": "@superseded", "size": 4}}
    thin = {"mode": "lines", "line": {"color": color, "width": 1}, "opacity": 0.5}
    hover = {"hoverinfo": "x+y+name", "hovertemplate": "%{y:.4~g}"}
    thick = {"mode": "lines", "line": {"color": color, "width": 2.2}}

    def trace(role: str, title: str, x: list[int], y: list[float], look: Json) -> Json:
        place = {"type": "scatter", "yaxis": axis, "hoverinfo": "skip"}
        meta = {"role": role, "metric": name}
        return {**place, "name": title, "meta": meta, "x": x, "y": y, **look}

    x, y = [steps[i] for i in drawn], [values[i] for i in drawn]
    return [
        trace("superseded", f"{label}, superseded", old_steps, old_values, old),
        trace("values", label, x, y, {**thin, **hover}),
        trace("average", f"{label}, average", x, [average[i] for i in drawn], thick),
    ]


def segment_traces(segments: Iterable[Record], axes: Mapping[str, str]) -> list[Json]:
    """Return the trends of the segments as dotted lines, one trace for each metric of `axes`."""
    found = list(segments)
    parts = {name: [one for one in found if name in one["ends"]] for name in axes}
    return [_segment_trace(name, axes[name], part) for name, part in parts.items() if part]


def _segment_trace(name: str, axis: str, segments: Iterable[Record]) -> Json:
    points = [
        point
        for one in segments
        for point in zip(
            (one["from_step"], one["to_step"], None), (*one["ends"][name], None), strict=True
        )
    ][:-1]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": f"{format.charted(format.metric(name))}, segments",
        "meta": {"role": "segments", "metric": name},
        "x": [x for x, _ in points],
        "y": [y for _, y in points],
        "yaxis": axis,
        "line": {"color": "@ink", "width": 1.6, "dash": "dot"},
        "hoverinfo": "skip",
    }


def flag_role(checkpoint: Record) -> str:
    """Return the most important role of a checkpoint: its alias, else pinned, else saved."""
    for role in ("production", "best", "pre-transition"):
        if role in checkpoint["aliases"]:
            return role
    return "pinned" if checkpoint["pinned"] or checkpoint["state"] == "pinned" else "present"


def flag_traces(checkpoints: Iterable[Record]) -> list[Json]:
    """Return the lane of checkpoint flags under the charts, one trace for each role."""
    usable = [c for c in checkpoints if c["state"] not in GONE]
    return [
        _flag_trace(role, meaning, symbol, size, [c for c in usable if flag_role(c) == role])
        for role, meaning, symbol, size in FLAGS
    ]


def _flag_trace(role: str, meaning: str, symbol: str, size: int, found: Sequence[Record]) -> Json:
    color = f"@flag_{role.replace('-', '_')}"
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"checkpoint: {meaning}",
        "meta": {"role": "flag", "flag": role},
        "x": [c["step"] for c in found],
        "y": [0] * len(found),
        "yaxis": "y5",
        "cliponaxis": False,
        "marker": {"symbol": symbol, "size": size, "color": color}
        | {"line": {"width": 1.5, "color": color}},
        "text": [flag_words(c) for c in found],
        "hovertemplate": "%{text}<extra></extra>",
    }


def flag_words(checkpoint: Record) -> str:
    """Return text like `checkpoint 40 (pinned, pre-transition)`."""
    marks = [*(["pinned"] if checkpoint["pinned"] else []), *checkpoint["aliases"]]
    named = f" ({', '.join(marks)})" if marks else ""
    return f"checkpoint {checkpoint['step']}{format.charted(named)}"


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


def _score_trace(split: str, meaning: str, symbol: str, found: Sequence[Record]) -> Json:
    ordered = sorted(found, key=lambda e: e["step"])
    scores = [e["pass_at_1"] for e in ordered]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": meaning,
        "meta": {"role": "score", "split": split},
        "x": [e["step"] for e in ordered],
        "y": scores,
        "yaxis": "y3",
        "cliponaxis": False,
        "marker": {"symbol": symbol, "size": 8, "color": "@score"},
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [_reach(e.get("high"), e["pass_at_1"]) for e in ordered],
            "arrayminus": [_reach(e["pass_at_1"], e.get("low")) for e in ordered],
            "color": "@score",
            "thickness": 1.2,
            "width": 3,
        },
        "text": [
            f"{format.percent(e['pass_at_1'])} ({format.interval(e.get('low'), e.get('high'))})"
            for e in ordered
        ],
        "hovertemplate": "%{text}",
    }


def _reach(upper: Any, lower: Any) -> float:
    known = format.is_number(upper) and format.is_number(lower)
    return max(0.0, round(upper - lower, 6)) if known else 0.0
