"""Letting go of the checkpoints that verifications had pinned, once the suspicion is refuted."""

from monitor.actions.record import record
from monitor.database.engine import Transaction
from monitor.runs.looks import PINS
from monitor.store import checkpoints, commands, runs
from monitor.store.scores import verifications

_IN_VAIN = ("refused", "expired")


def let_go(tx: Transaction, run_id: str, now: float) -> None:
    """Tell the trainer which candidates to let go: those that no alias, person or policy keeps."""
    run = runs.get(tx, run_id)
    steps = releasable(tx, run_id)
    if run is None or run.status != "running" or not steps:
        return
    reason = "the verification found the weights of now not worse"
    commands.add(tx, run_id, now, kind="release", reason=reason, author=PINS, steps=steps)
    record(tx, "verification.released", run_id, now)


def pinned(tx: Transaction, run_id: str) -> set[int]:
    """Return the steps that verifications pinned: candidates, and the weights of now that a worker scores."""
    found: set[int] = set()
    for row in verifications.of_run(tx, run_id):
        now = [] if row.payload is None else [row.payload["step"]]
        found |= {*row.candidates, *now} - set(row.kept_before)
    return found


def releasable(tx: Transaction, run_id: str) -> list[int]:
    """Return the steps that are held by verifications alone."""
    held = pinned(tx, run_id)
    asked = commands.of_run(tx, run_id)
    kept = {
        step
        for row in asked
        if row.kind in ("keep", "stop") and row.author != PINS and row.state not in _IN_VAIN
        for step in row.steps
    }
    found = checkpoints.with_aliases(tx, run_id)
    named = {row.step for row in found.aliases.values()}
    return sorted(held - kept - named - commands.released(asked))
