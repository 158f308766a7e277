"""Deleted and purged runs, and what of them is still on disk."""

from collections.abc import Sequence
from typing import Any

from monitor.database.engine import Transaction
from monitor.schemas.base import Shape
from monitor.store import checkpoints


def remains(tx: Transaction, run_id: str) -> dict[str, Any]:
    """Return what of the run stays on the training box whatever happens here."""
    return remains_by_run(tx, [run_id])[run_id]


def remains_by_run(tx: Transaction, run_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return what `remains` does, for many runs at once."""
    names = ("checkpoints", "pinned", "bytes")
    found = checkpoints.remains_by_run(tx, run_ids)
    return {run_id: dict(zip(names, counts, strict=True)) for run_id, counts in found.items()}


def remains_words(left: dict[str, Any]) -> str:
    """Return `remains` as a sentence.

    >>> remains_words({"checkpoints": 2, "pinned": 1, "bytes": 3_000_000})
    '2 checkpoints (3.0 MB, 1 pinned) stay on the training box; delete them there if they are not wanted'
    """
    if not left["checkpoints"]:
        return "no checkpoint of it is known to be on a training box"
    return (
        f"{left['checkpoints']} checkpoints ({left['bytes'] / 1e6:.1f} MB, {left['pinned']} pinned) stay"
        " on the training box; delete them there if they are not wanted"
    )


class Remains(Shape):
    checkpoints: int
    pinned: int
    bytes: int


class DeletedRun(Shape):
    run_id: str
    deleted_at: str | None
    deleted_by: str | None
    restorable_until: str | None
    remains: Remains
    words: str


class ListedRun(DeletedRun):
    project: str
    name: str
    step: int | None


class DeletedRuns(Shape):
    deleted_runs: list[ListedRun]
    total: int
    first: int
    next: str | None


class PurgedRun(Shape):
    run_id: str
    remains: Remains
    words: str
