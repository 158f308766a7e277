"""The JSON shapes of docs/reference/rest.md, made from rows. Used by REST, events and pages alike."""

from collections.abc import Mapping, Sequence
from math import hypot
from statistics import fmean
from typing import Any, Literal

from monitor.clock import when
from monitor.runs import kept as rules
from monitor.schemas.base import Shape, columns
from monitor.schemas.run_data import RunData
from monitor.store import checkpoints
from monitor.store.table.sorting import KEPT


class CheckpointRef(Shape):
    id: str
    step: int


class Kept(CheckpointRef):
    path: str
    pinned: bool


class Score(Shape):
    task: str
    split: str
    pass_at_1: float
    low: float
    high: float
    n: int


class Checkpoint(Shape):
    id: str
    run_id: str
    step: int
    attempt: int
    state: Literal["present", "pinned", "missing", "corrupt"]
    pinned: bool
    path: str
    bytes: int
    sha256: str
    aliases: list[str]
    created_at: str
    checked_at: str | None
    verified: bool
    scores: list[Score]


class Checkpoints(Shape):
    checkpoints: list[Checkpoint]


class Promoted(Shape):
    checkpoint_id: str
    run_id: str
    alias: str
    step: int
    previous: str | None
    verified: bool


class Checked(Shape):
    checkpoint_id: str
    run_id: str
    state: Literal["present", "pinned", "missing", "corrupt"]
    verified: bool


class Unverified(Shape):
    id: str
    run_id: str
    step: int
    path: str
    sha256: str
    bytes: int


class AllUnverified(Shape):
    checkpoints: list[Unverified]


def checkpoint_list(data: RunData) -> list[dict[str, Any]]:
    """Return the run's `Checkpoint` objects with aliases and scores, by step."""
    by_checkpoint: dict[str, list[str]] = {}
    for alias, row in data.registered.aliases.items():
        by_checkpoint.setdefault(row.id, []).append(alias)
    scores: dict[str, list[dict[str, Any]]] = {}
    for row in data.evaluations:
        if row.checkpoint_id:
            scores.setdefault(row.checkpoint_id, []).append(_score_of(row))
    numbers = data.numbers
    return [
        {
            **columns(row, ("id", "run_id", "step", "state", "pinned", "path", "bytes", "sha256")),
            "attempt": numbers.get(row.attempt_key, 0),
            "aliases": by_checkpoint.get(row.id, []),
            "created_at": when(row.created_at),
            "checked_at": when(row.checked_at),
            "verified": checkpoints.verified(row, data.registered.moved_at.get(row.id)),
            "scores": scores.get(row.id, []),
        }
        for row in data.registered.rows
    ]


def kept(data: RunData) -> dict[str, Any] | None:
    """Return the run's `Kept` checkpoint, None where none was kept."""
    aliases = {alias: row.id for alias, row in data.registered.aliases.items()}
    row = rules.kept(data.commands, data.registered.rows, aliases)
    return columns(row, ("id", "step", "path", "pinned")) if row is not None else None


def best_score(reported: Sequence[Any], aliases: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the report-set score of the pre-transition checkpoint, else of the best one.

    Of several tasks it is the mean, with the interval of a mean of independent scores (Zou and Donner 2008,
    "Construction of confidence limits about effect measures"). `FIXED` of monitor/store/table/sorting.py
    sorts by the same.
    """
    for alias in KEPT:
        found = [
            row
            for row in reported
            if alias in aliases and row.checkpoint_id == aliases[alias]["id"]
        ]
        if found:
            return {"alias": alias, "step": found[0].step, **_mean([_score_of(r) for r in found])}
    return None


def _mean(scores: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the mean over the tasks as a `Score`; `n` are all of their problems."""
    if len(scores) == 1:
        return scores[0]
    mean = fmean(one["pass_at_1"] for one in scores)
    ends: dict[str, float | None] = {"low": None, "high": None}
    if all(one[end] is not None for one in scores for end in ends):
        for end, sign in (("low", -1), ("high", 1)):
            ends[end] = mean + sign * hypot(*(s[end] - s["pass_at_1"] for s in scores)) / len(
                scores
            )
    return {
        "task": f"mean of {len(scores)} tasks",
        "split": scores[0]["split"],
        "pass_at_1": mean,
        **ends,
        "n": sum(one["n"] or 0 for one in scores),
    }


def _score_of(row: Any) -> dict[str, Any]:
    names = ("pass_at_1", "low", "high")
    score = {name: row.scores.get(name) for name in names}
    return {"task": row.task, "split": row.split, **score, "n": row.scores.get("n_problems")}
