"""The change points of a run: in force, suspected, and closed (faded or refuted)."""

from collections.abc import Iterable
from dataclasses import replace

from monitor.detector import constants
from monitor.detector.scan.dating import DatedChange
from monitor.detector.types import ChangePoint, Kind, State, Transition

_OF_A_CHANGE: tuple[Kind, ...] = ("length_turn", "destabilisation", "collapse")


class Findings:
    """What was found so far. `best` is the greatest evidence at which the present suspicion was dated."""

    def __init__(self) -> None:
        self.found: dict[Kind, ChangePoint] = {}
        self.transition: Transition | None = None
        self.best = 0.0
        self._suspected: tuple[ChangePoint, ...] = ()
        self._closed: tuple[ChangePoint, ...] = ()

    @property
    def change_points(self) -> tuple[ChangePoint, ...]:
        """All change points, the closed ones first."""
        return (*self._closed, *self.found.values())

    @property
    def open(self) -> bool:
        """Whether nothing is confirmed."""
        return self.transition is None or self.transition.state == "provisional"

    def suspect(self, dated: DatedChange, score: float) -> None:
        """Remember the dated change as suspected at this evidence."""
        self.best, self._suspected = score, dated.changes

    def take(self, dated: DatedChange) -> None:
        """Make this the current transition."""
        self.transition = dated.transition
        self._forget("length_turn", "destabilisation")
        self.found.update({one.kind: one for one in dated.changes})

    def fade(self, said: str) -> None:
        """Close what is suspected and not confirmed: its evidence died out."""
        self._close(self._suspected, "faded", said)
        self.drop()

    def drop(self) -> None:
        """Forget what is suspected and not confirmed."""
        self.best, self._suspected = 0.0, ()
        if self.transition and self.open:
            self.transition = None
            self._forget("length_turn", "destabilisation")

    def refute(self, said: str) -> None:
        """Close the transition, confirmed or not, or what is suspected of one."""
        here = tuple(self.found[kind] for kind in _OF_A_CHANGE if kind in self.found)
        self._close(here or self._suspected, "refuted", said)
        self.best, self._suspected, self.transition = 0.0, (), None
        self._forget(*_OF_A_CHANGE)

    def _close(self, changes: Iterable[ChangePoint], state: State, said: str) -> None:
        new = (replace(one, state=state, words=one.words + said) for one in changes)
        self._closed = (*self._closed, *new)[-constants.MOST_CLOSED :]

    def _forget(self, *kinds: Kind) -> None:
        for kind in kinds:
            self.found.pop(kind, None)
