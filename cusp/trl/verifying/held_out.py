"""What scores held-out problems during a training: an interface, and what it returns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cusp.errors import CuspError

Score = float | None  # of a problem, in [0, 1]; None where it was not decided


class CannotVerify(CuspError, ValueError):
    """Nothing was verified; the message is a sentence for a person."""


class HeldOut(Protocol):
    """Held-out problems that the training scores with the engine it generates with, on every rank."""

    @property
    def problems(self) -> int:
        """How many there are."""

    def scores(self, checkpoint: Path | None, places: range) -> list[Score]:
        """Return the scores of the problems at these places with the weights of a checkpoint, or of now.

        The training is afterwards what it was before. One completion a problem.
        """

    def close(self) -> None:
        """End what scoring needed."""


@dataclass(frozen=True)
class Earlier:
    """An earlier checkpoint: its step, its folder, and the hash of its manifest."""

    step: int
    path: Path
    sha256: str


@dataclass(frozen=True)
class Scored:
    """Scores by step, and the number of completions that were generated for them now."""

    scores: Mapping[int, list[Score]]
    completions: int


Interrupted = Callable[[], bool]
