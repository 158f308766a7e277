"""The JSON shapes of docs/reference/rest.md, made from rows. Used by REST, events and pages alike."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from monitor.clock import when
from monitor.database.engine import Transaction
from monitor.runs.kept import kept
from monitor.schemas.base import Shape, _fields, attempt_numbers
from monitor.store import checkpoints, evaluations, runs


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


def checkpoint_list(
    tx: Transaction, run_id: str, evaluated: Sequence[Any] | None = None
) -> list[dict[str, Any]]:
    """Return the run's `Checkpoint` objects with aliases and scores, by step.

    `evaluated` are its evaluations if they were read before.
    """
    evaluated = evaluations.of_run(tx, run_id) if evaluated is None else evaluated
    by_checkpoint: dict[str, list[str]] = {}
    for alias, checkpoint_id in sorted(checkpoints.aliases_of(tx, run_id).items()):
        by_checkpoint.setdefault(checkpoint_id, []).append(alias)
    scores: dict[str, list[dict[str, Any]]] = {}
    for row in evaluated:
        if row.checkpoint_id:
            scores.setdefault(row.checkpoint_id, []).append(_score_of(row))
    numbers = attempt_numbers(runs.attempts_of(tx, run_id))
    moved = checkpoints.moves(tx, run_id)
    return [
        {
            **_fields(row, ("id", "run_id", "step", "state", "pinned", "path", "bytes", "sha256")),
            "attempt": numbers.get(row.attempt_key, 0),
            "aliases": by_checkpoint.get(row.id, []),
            "created_at": when(row.created_at),
            "checked_at": when(row.checked_at),
            "verified": checkpoints.verified(row, moved.get(row.id)),
            "scores": scores.get(row.id, []),
        }
        for row in checkpoints.of_run(tx, run_id)
    ]


def _kept(tx: Transaction, run_id: str, asked: Sequence[Any]) -> dict[str, Any] | None:
    row = kept(asked, checkpoints.of_run(tx, run_id), checkpoints.aliases_of(tx, run_id))
    return _fields(row, ("id", "step", "path", "pinned")) if row is not None else None


def _score_of(row: Any) -> dict[str, Any]:
    names = ("pass_at_1", "low", "high")
    score = {name: row.scores.get(name) for name in names}
    return {"task": row.task, "split": row.split, **score, "n": row.scores.get("n_problems")}


def _score(reported: Sequence[Any], aliases: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the report-set score of the best checkpoint, else of the pre-transition one."""
    for alias in ("best", "pre-transition"):
        for row in reported:
            if alias in aliases and row.checkpoint_id == aliases[alias]["id"]:
                return {"alias": alias, "step": row.step, **_score_of(row)}
    return None
