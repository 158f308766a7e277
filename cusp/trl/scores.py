"""Calls the user's `evaluate` on the kept and the last checkpoint after the training."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cusp import terminal
from cusp.checkpoints.registry import LocalCheckpoint
from cusp.errors import CuspError

log = logging.getLogger("cusp")

Evaluate = Callable[[Path], Sequence[float]]


class NotScores(CuspError, ValueError):
    """The value that `evaluate=` returned is not a list of scores."""


def scores(
    evaluate: Evaluate, kept: LocalCheckpoint | None, last: LocalCheckpoint | None, world_size: int
) -> dict[int, list[float]]:
    """Return {step: a score of 0 or 1 for each problem} of the two checkpoints, and print the means.

    Nothing is sent to the monitor. With several processes `evaluate` is not called: the others would go on,
    and their next collective would wait for this process until it times out.
    """
    if world_size > 1:
        terminal.say(
            f"evaluate= is not called in a training of {world_size} processes; call it with"
            " cusp.watch(...).kept.path when all of them have ended."
        )
        return {}
    found = {}
    for place in {one.step: one for one in (kept, last) if one is not None}.values():
        try:
            found[place.step] = _checked(evaluate(place.path))
        except Exception as error:
            log.error("evaluate(%r) failed: %s", str(place.path), error, exc_info=error)
    for step, values in sorted(found.items()):
        is_kept = kept is not None and kept.step == step
        mean = sum(values) / len(values)
        what = "kept" if is_kept else "last"
        terminal.say(f"step {step} ({what}) solves {mean:.3f} of {len(values)} problems")
    return found


def _checked(values: Any) -> list[float]:
    found = [float(value) for value in values]
    if not found or any(value not in (0.0, 1.0) for value in found):
        raise NotScores(f"it must return a 0 or 1 for each problem, not {values!r:.80}")
    return found
