"""Overlays of the charts: phase bands, the transition, lines and labels.

Colours are tokens such as `@format_reward`; the browser replaces them by the theme's colour, so that a
chart follows light and dark without being sent again.
"""

from collections.abc import Mapping

from webui import format
from webui.charts.layout import Json, Record


def bands(verdicts: Record | None) -> list[Json]:
    """Return a tinted rectangle over all charts for each phase."""
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
    """Return the shaded interval of the transition, the line at its step, and the line of the stop.

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
    """Return the step at which a command stopped the run, or None."""
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
    """Return the labels above the vertical lines."""
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


def levels(verdicts: Record | None) -> dict[str, float | None]:
    """Return the thresholds `watch` and `confirm`, None where unknown."""
    found = {name: (verdicts or {}).get(name) for name in ("watch", "confirm")}
    return {name: v if format.is_number(v) else None for name, v in found.items()}


def limit_lines(limits: Mapping[str, float | None]) -> list[Json]:
    """Return horizontal lines at the thresholds `watch` and `confirm`."""
    return [
        {
            "type": "line",
            "name": f"limit:{name}",
            "xref": "paper",
            "yref": "y4",
            "x0": 0,
            "x1": 1,
            "y0": level,
            "y1": level,
            "line": {"color": f"@{name}", "width": 1.2, "dash": "dot"},
        }
        for name, level in limits.items()
        if level is not None
    ]


def limit_labels(limits: Mapping[str, float | None]) -> list[Json]:
    """Return the labels at the left end of those lines, where evidence is low."""
    return [
        {
            "name": "limit",
            "xref": "paper",
            "yref": "y4",
            "x": 0.003,
            "y": level,
            "xanchor": "left",
            "yanchor": "bottom",
            "text": f"{name} {level:g}",
            "showarrow": False,
            "font": {"size": 10, "color": f"@{name}"},
        }
        for name, level in limits.items()
        if level is not None
    ]
