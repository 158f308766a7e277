"""Restores the data order of a resumed training.

TRL's sampler draws a new order for every epoch from its own generator, which no checkpoint holds: a training
resumed in its third epoch would get the order of the first (trl 1.16, RepeatSampler).
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cusp.errors import CuspError
from trainer.training.distributed import restorable_on_cpu

ROUNDING = 1e-6  # the recorded epoch is a float, a sum of fractions


class NoRecord(CuspError, ValueError):
    """A checkpoint has no record of its epoch, so that it cannot be resumed exactly."""


def go_on(trainer: Any, start: Path) -> None:
    """Advance the trainer's sampler by the epochs before the checkpoint, and let its files be restored."""
    restorable_on_cpu()
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
    """Return the number of whole epochs before the checkpoint, from `trainer_state.json`.

    Raises NoRecord if that is missing: then the training cannot be resumed exactly.
    """
    file = start / "trainer_state.json"
    try:
        return int(json.loads(file.read_text())["epoch"] + ROUNDING)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NoRecord(
            f"{file} does not say how far the training was ({error!r}); resume from another checkpoint"
        ) from error
