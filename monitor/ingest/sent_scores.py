"""Scores that a training sends: which attempts' checkpoints they may be of, and what is left out of them."""

import re
from collections.abc import Sequence

from cusp.protocol.salvage import Part
from cusp.protocol.scored import EvaluationMessage
from monitor.actions.scores import posted
from monitor.database.engine import Transaction
from monitor.errors import Conflict, QuotaExceeded
from monitor.store import runs

ALWAYS = 2**62  # beyond every step
# What may be left out of a row without another meaning of its score.
_BESIDE = re.compile(r"rows\.\d+\.(tokens|seed|finish_reason|text|answer)|problems\..*")


def take(
    tx: Transaction,
    run_id: str,
    attempt_key: int,
    first_step: int,
    message: EvaluationMessage,
    now: float,
) -> list[Part]:
    """Store scores that the training made; return why they cannot be.

    `first_step` is the first one that the attempt has logged.
    """
    cuts = cuts_before(tx, run_id, attempt_key, first_step)
    try:
        with tx.begin_nested():
            posted.take(tx, run_id, message, now, "training", cuts=cuts)
    except (Conflict, QuotaExceeded) as error:
        return [Part("evaluation", message.task, str(error))]
    return []


def cuts_before(tx: Transaction, run_id: str, attempt_key: int, first_step: int) -> dict[int, int]:
    """Return the cuts of an attempt and those before it as this attempt sees them, itself first."""
    rows = runs.attempts_of(tx, run_id)
    before = rows[: [row.key for row in rows].index(attempt_key)]
    cuts = {key: min(cut, first_step) for key, cut in runs.cuts(before).items()}
    return {attempt_key: ALWAYS, **cuts}


def unusable(refused: Sequence[Part]) -> list[Part]:
    """Return the parts with the sentence that the whole portion is left out; none where only a row's extras are."""
    if all(part.kind == "field" and _BESIDE.fullmatch(part.name) for part in refused):
        return []
    first, *others = refused
    words = f"{first.reason}; so all rows of this message were left out"
    return [first._replace(reason=words), *others]
