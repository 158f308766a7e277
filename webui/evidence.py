"""The chart of the evidence: what each metric says, the whole, and the levels it is read against."""

from collections.abc import Mapping
from typing import Any

from webui import words
from webui.series import thinned

Json = dict[str, Any]
Record = Mapping[str, Any]

EVIDENCE_ORDER = ("format_reward", "completion_length", "accuracy_reward", "entropy")
"""The metrics with a colour of their own; others are grey."""

ALWAYS_DRAWN = (*EVIDENCE_ORDER, "format_volatility")
"""All that the detector may name, so that a live page has a line for each."""


def evidence_traces(verdicts: Record | None) -> list[Json]:
    """Evidence of each metric as thin lines, the whole as a thick one.

    Not stacked: what metrics share counts once in the whole, so the parts may sum to more.
    """
    found = verdicts or {"steps": [], "scores": [], "evidence": {}}
    names = sorted({*ALWAYS_DRAWN, *found["evidence"]}, key=_evidence_rank)
    drawn = thinned(found["scores"])
    steps = [found["steps"][i] for i in drawn]
    parts = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": f"evidence: {words.charted(words.short_metric(name))}",
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
    """The colour token of a metric's evidence; the less usual metrics share one."""
    return f"@{name}" if name in EVIDENCE_ORDER else "@metric"


def _evidence_rank(name: str) -> tuple[int, str]:
    known = name in EVIDENCE_ORDER
    return (EVIDENCE_ORDER.index(name) if known else len(EVIDENCE_ORDER), name)


def levels(verdicts: Record | None) -> dict[str, float | None]:
    """The levels of watching and confirming, None where unknown."""
    found = {name: (verdicts or {}).get(name) for name in ("watch", "confirm")}
    return {name: v if words.is_number(v) else None for name, v in found.items()}


def limit_lines(limits: Mapping[str, float | None]) -> list[Json]:
    """The levels of evidence at which Cusp starts to watch and confirms."""
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
    """The words at the left end of those lines, where evidence is low."""
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
