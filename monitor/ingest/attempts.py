"""Step range of each attempt of a run, and the first step that a batch changes. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from monitor.ingest.messages import NEVER, BatchEffects


def reach(attempt: Any, touched: BatchEffects) -> dict[str, int]:
    """Return the attempt's first and last step, where the batch had points."""
    if touched.last_step < 0:
        return {}
    known = NEVER if attempt.first_step is None else attempt.first_step
    last = max(touched.last_step, attempt.last_step or 0)
    return {"first_step": min(touched.first_step, known), "last_step": last}


def changed_from(
    attempt: Any, attempts: Sequence[Any], cuts: Mapping[int, int], touched: BatchEffects
) -> int:
    """Return the first step at which what the detector sees may have changed, or NEVER.

    That is a watched metric, a boundary or a refutation that counts, or the first step of an attempt, from which on
    the earlier ones do not count any more. `attempt` is its row before the batch.
    """
    cut = cuts[attempt.key]
    changed = [step for step in (touched.watched_from, touched.boundary_from) if step < cut]
    if touched.refuted_from - 1 < cut:  # the step of the weights that were scored
        changed.append(touched.refuted_from)
    if attempt.first_step is None or touched.first_step < attempt.first_step:
        earlier = [
            one for one in attempts if one.place < attempt.place and one.last_step is not None
        ]
        if any(one.last_step >= touched.first_step for one in earlier):
            changed.append(touched.first_step)
    return min(changed, default=NEVER)


def last_step(attempts: Sequence[Any], cuts: Mapping[int, int]) -> int | None:
    """Return the last effective step: of each attempt at most the one before its cut."""
    steps = [min(row.last_step, cuts[row.key] - 1) for row in attempts if row.last_step is not None]
    return max(steps) if steps else None
