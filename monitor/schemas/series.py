"""The JSON shapes of docs/reference/rest.md, made from rows. Used by REST, events and pages alike."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from monitor.schemas.base import Phase, Shape, columns
from monitor.schemas.run_data import RunData
from monitor.store import points
from monitor.store.packed.columns import Columns
from monitor.store.verdicts import LEVEL

_CHANGE_POINT = ("id", "kind", "step", "low", "high", "state", "seen_at_step", "words", "evidence")


class ChangePoint(Shape):
    id: str
    kind: Literal["onset", "saturation", "length_turn", "destabilisation", "collapse"]
    step: int
    low: int
    high: int
    state: Literal["provisional", "confirmed", "faded", "refuted", "revised", "dismissed"]
    seen_at_step: int
    words: str
    evidence: dict[str, float]


class Evidence(Shape):
    metric: str
    score: float
    z: float
    armed: bool
    words: str


class Superseded(Shape):
    steps: list[int]
    values: list[float]
    attempts: list[int]


class Series(Superseded):
    name: str
    made_of: str | None
    superseded: Superseded


class Verdicts(Shape):
    steps: list[int]
    phases: list[Phase]
    scores: list[float]
    evidence: dict[str, list[float]]
    levels: list[float | None]
    watch: float | None
    confirm: float | None


class Sample(Shape):
    step: int
    attempt: int
    seq: int
    prompt: str
    completion: str
    rewards: dict[str, float]


class AllSeries(Shape):
    series: list[Series]


class ChangePoints(Shape):
    change_points: list[ChangePoint]


class Samples(Shape):
    samples: list[Sample]
    total: int


def series(found: Sequence[points.Series], numbers: Mapping[int, int]) -> list[dict[str, Any]]:
    """Return `Series` objects; `numbers` gives the attempt's number for its key."""
    return [
        {
            "name": one.name,
            "made_of": one.made_of,
            **_columns(one.counted, numbers),
            "superseded": _columns(one.superseded, numbers),
        }
        for one in found
        if one.name != points.AT
    ]


def drawn(
    found: Sequence[points.Series], numbers: Mapping[int, int], counts: Mapping[str, int]
) -> list[dict[str, Any]]:
    """Return thinned series for the charts: `Series` objects with the `average` at their points.

    `counts` are how many points each has, unthinned, by name.
    """
    named = {one.name: one.average for one in found}
    return [
        {**one, "average": average.tolist(), "count": counts[one["name"]]}
        for one in series(found, numbers)
        if (average := named[one["name"]]) is not None
    ]


def _columns(found: Columns, numbers: Mapping[int, int]) -> dict[str, list[Any]]:
    return {
        "steps": found.steps.tolist(),
        "values": found.values.tolist(),
        "attempts": [numbers.get(key, 0) for key in found.attempts.tolist()],
    }


def verdicts(rows: Sequence[Any], latest: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return `Verdicts`: columns, each as long as `steps`.

    `levels` are the scores that would have confirmed at each step, None where none would.
    """
    metrics = sorted({metric for row in rows for metric in row.evidence} - {LEVEL})
    confirm = (latest or {}).get("confirm")
    return {
        "steps": [row.step for row in rows],
        "phases": [row.phase for row in rows],
        "scores": [row.score for row in rows],
        "evidence": {metric: [row.evidence.get(metric, 0.0) for row in rows] for metric in metrics},
        "levels": [row.evidence.get(LEVEL, confirm) for row in rows],
        "watch": (latest or {}).get("watch"),
        "confirm": confirm,
    }


def verdict_event(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a viewer is told of a new verdict; `level` only where it is not the preset's `confirm`."""
    evidence = dict(row["evidence"])
    level = {LEVEL: evidence.pop(LEVEL)} if LEVEL in evidence else {}
    return {name: row[name] for name in ("step", "phase", "score")} | {
        "evidence": evidence,
        **level,
    }


def change_point(row: Any) -> dict[str, Any]:
    """Return a `ChangePoint`."""
    return columns(row, _CHANGE_POINT)


def sample(row: Any, numbers: Mapping[int, int]) -> dict[str, Any]:
    """Return a `Sample`; `numbers` gives the attempt's number for its key."""
    told = columns(row, ("step", "seq", "prompt", "completion", "rewards"))
    return {**told, "attempt": numbers.get(row.attempt_key, 0)}


def samples(data: RunData) -> dict[str, Any]:
    """Return the samples that a run's page shows, as `Samples`."""
    found, numbers = data.samples, data.numbers
    return {"samples": [sample(row, numbers) for row in found.rows], "total": found.total}
