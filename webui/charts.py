"""The marks on the charts: phase bands, the transition, checkpoint flags, held-out scores.

Colours are tokens such as `@format_reward`; the browser puts the theme's colour in their place, so
that a chart follows light and dark without being sent again.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from webui import words

Json = dict[str, Any]
Record = Mapping[str, Any]

FLAGS = (
    # role in the lane, what it means, marker symbol, size
    ("present", "saved", "line-ns-open", 8),
    ("pinned", "pinned", "circle", 7),
    ("pre-transition", "pre-transition", "triangle-up", 11),
    ("best", "best", "star", 12),
    ("production", "production", "diamond", 11),
)
GONE = ("missing", "corrupt")


def bands(verdicts: Record | None) -> list[Json]:
    """One tinted rectangle over all charts for each stretch of one phase."""
    if not verdicts or not verdicts["steps"]:
        return []
    steps, phases = verdicts["steps"], verdicts["phases"]
    starts = [i for i in range(len(steps)) if i == 0 or phases[i] != phases[i - 1]]
    ends = [*starts[1:], len(steps) - 1]
    return [
        _band(phases[start], steps[start], steps[end])
        for start, end in zip(starts, ends, strict=True)
    ]


def _band(phase: str, first: int, last: int) -> Json:
    return {
        "type": "rect",
        "name": f"phase:{phase}",
        "xref": "x",
        "yref": "paper",
        "x0": first,
        "x1": last,
        "y0": 0,
        "y1": 1,
        "line": {"width": 0},
        "fillcolor": f"@band_{phase}",
        "layer": "below",
    }


def transition_shapes(run: Record) -> list[Json]:
    """The shaded interval of the transition, the line at its step, and the step of the stop.

    A provisional transition is paler and dotted.
    """
    shapes = []
    transition = run.get("transition")
    if transition and transition.get("state") != "dismissed":
        sure = transition["state"] != "provisional"
        span = _band("transition", transition["low"], transition["high"])
        fill = "@transition_fill" if sure else "@transition_maybe"
        shapes.append({**span, "name": "transition:interval", "fillcolor": fill})
        dash = "solid" if sure else "dot"
        shapes.append(_line("transition:step", transition["step"], "@transition", dash))
    stop = stop_step(run)
    if stop is not None:
        shapes.append(_line("stop", stop, "@ink_2", "dash"))
    return shapes


def stop_step(run: Record) -> int | None:
    """The step at which the run was stopped on command, None if it was not."""
    stops = [c for c in run.get("commands") or [] if c["kind"] == "stop" and c["state"] == "done"]
    return stops[-1].get("step") if stops else None


def _line(name: str, step: int, color: str, dash: str) -> Json:
    return {
        "type": "line",
        "name": name,
        "xref": "x",
        "yref": "paper",
        "x0": step,
        "x1": step,
        "y0": 0,
        "y1": 1,
        "line": {"color": color, "width": 1.5, "dash": dash},
        "layer": "above",
    }


def labels(run: Record) -> list[Json]:
    """Words above the vertical lines."""
    found = []
    transition = run.get("transition")
    if transition and transition.get("state") != "dismissed":
        found.append(_label(transition["step"], f"transition {transition['step']}", "right"))
    stop = stop_step(run)
    if stop is not None:
        found.append(_label(stop, f"stop {stop}", "left"))
    return found


def _label(step: int, text: str, anchor: str) -> Json:
    return {
        "name": "label",
        "x": step,
        "y": 1,
        "xref": "x",
        "yref": "paper",
        "yanchor": "bottom",
        "xanchor": anchor,
        "text": text,
        "showarrow": False,
        "font": {"size": 11, "color": "@ink_2"},
    }


def flag_role(checkpoint: Record) -> str:
    """The most telling thing about a checkpoint: its alias, else pinned, else just saved."""
    for role in ("production", "best", "pre-transition"):
        if role in checkpoint["aliases"]:
            return role
    return "pinned" if checkpoint["pinned"] or checkpoint["state"] == "pinned" else "present"


def flag_traces(checkpoints: Iterable[Record]) -> list[Json]:
    """A lane of checkpoint flags under the charts, one trace for each role."""
    usable = [c for c in checkpoints if c["state"] not in GONE]
    return [
        _flag_trace(role, meaning, symbol, size, [c for c in usable if flag_role(c) == role])
        for role, meaning, symbol, size in FLAGS
    ]


def _flag_trace(role: str, meaning: str, symbol: str, size: int, found: Sequence[Record]) -> Json:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"checkpoint: {meaning}",
        "meta": {"role": "flag", "flag": role},
        "x": [c["step"] for c in found],
        "y": [0] * len(found),
        "yaxis": "y5",
        "cliponaxis": False,
        "marker": {
            "symbol": symbol,
            "size": size,
            "color": f"@flag_{role.replace('-', '_')}",
            "line": {"width": 1.5, "color": f"@flag_{role.replace('-', '_')}"},
        },
        "text": [flag_words(c) for c in found],
        "hovertemplate": "%{text}<extra></extra>",
    }


def flag_words(checkpoint: Record) -> str:
    """`checkpoint 40 (pinned, pre-transition)`."""
    marks = [*(["pinned"] if checkpoint["pinned"] else []), *checkpoint["aliases"]]
    named = f" ({', '.join(marks)})" if marks else ""
    return f"checkpoint {checkpoint['step']}{words.charted(named)}"


def score_traces(evaluations: Iterable[Record]) -> list[Json]:
    """Held-out pass@1 with 95 % intervals on the accuracy chart, one trace for each split.

    A step with a score on the report set does not show the one on the selection set, too.
    """
    found = [e for e in evaluations if words.is_number(e.get("pass_at_1"))]
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
            f"{words.percent(e['pass_at_1'])} ({words.interval(e.get('low'), e.get('high'))})"
            for e in ordered
        ],
        "hovertemplate": "%{text}",
    }


def _reach(upper: Any, lower: Any) -> float:
    known = words.is_number(upper) and words.is_number(lower)
    return max(0.0, round(upper - lower, 6)) if known else 0.0
