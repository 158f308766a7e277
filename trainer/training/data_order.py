"""The order of the problems goes on where a resumed training left it.

TRL's sampler draws a new order for every epoch from a generator of its own, which no checkpoint holds: a
training resumed in its third epoch would be given the order of the first (trl 1.16, RepeatSampler).
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cusp.errors import CuspError

ROUNDING = 1e-6  # an epoch is a sum of fractions of steps


class NoRecord(CuspError, ValueError):
    """A checkpoint does not say how far its training was, so that it cannot be taken up exactly."""


def go_on(trainer: Any, start: Path) -> None:
    """Let the trainer draw what the epochs before the checkpoint have drawn, and go on from there."""
    done = epochs_done(start)
    make: Callable[..., Any] = trainer._get_train_sampler

    def drawn(*arguments: Any) -> Any:
        import torch

        sampler = make(*arguments)
        for _ in range(done if sampler.shuffle else 0):
            torch.randperm(sampler.num_samples, generator=sampler.generator)
        return sampler

    trainer._get_train_sampler = drawn


def epochs_done(start: Path) -> int:
    """Return how many whole epochs lie before the checkpoint, by the trainer's own record.

    Raises NoRecord where there is none: then nothing of the training can be taken up exactly.
    """
    file = start / "trainer_state.json"
    try:
        return int(json.loads(file.read_text())["epoch"] + ROUNDING)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NoRecord(
            f"{file} does not say how far the training was ({error!r}); resume from another checkpoint"
        ) from error
