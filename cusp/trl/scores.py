"""Calls the user's `evaluate` on a checkpoint: when a verification asks for it, and after the training."""

import logging
import numbers
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cusp import terminal
from cusp.checkpoints.registry import LocalCheckpoint
from cusp.errors import CuspError
from cusp.protocol.fields import MAX_PROBLEMS

log = logging.getLogger("cusp")

Evaluate = Callable[[Path], Sequence[float]]


class NotScores(CuspError, ValueError):
    """The value that `evaluate=` returned is not a list of scores."""


def scores(
    evaluate: Evaluate, kept: LocalCheckpoint | None, last: LocalCheckpoint | None, world_size: int
) -> dict[int, list[float]]:
    """Return {step: a score in [0, 1] for each problem} of the two checkpoints, and print the means.

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
            found[place.step] = checked(evaluate(place.path))
        except (Exception, SystemExit) as error:
            log.error("evaluate(%r) failed: %s", str(place.path), error, exc_info=error)
    for step, values in sorted(found.items()):
        is_kept = kept is not None and kept.step == step
        mean = sum(values) / len(values)
        what = "kept" if is_kept else "last"
        terminal.say(f"step {step} ({what}) solves {mean:.3f} of {len(values)} problems")
    return found


def checked(values: Any) -> list[float]:
    """Return the scores as numbers; NotScores for anything but a list of numbers in [0, 1].

    A tuple, an array or a tensor of one dimension is taken as a list.

    >>> checked([1, 0, 0.5])
    [1.0, 0.0, 0.5]
    """
    given = values.tolist() if hasattr(values, "tolist") else values
    if not isinstance(given, list | tuple) or not given:
        raise NotScores(f"it must return a list with a score for each problem, not {values!r:.80}")
    if len(given) > MAX_PROBLEMS:
        raise NotScores(f"it returned {len(given):,} scores; at most {MAX_PROBLEMS:,} are compared")
    for place, value in enumerate(given):
        if not isinstance(value, numbers.Real) or not 0 <= float(value) <= 1:
            raise NotScores(
                f"a score is a number from 0 to 1, such as 1 for right, and number {place} of its"
                f" {len(given)} is {value!r:.80}"
            )
    return [float(value) for value in given]
