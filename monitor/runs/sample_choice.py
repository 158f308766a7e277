"""Which samples of a run a viewer asked for: by step, by a reward, page by page on both sides of the transition."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

EACH_SIDE = 10  # samples a page, on either side


class Asked(NamedTuple):
    """Limits are inclusive and None where there is none; `least` and `most` are of the reward named."""

    first: int | None = None
    last: int | None = None
    reward: str | None = None
    least: float | None = None
    most: float | None = None

    def takes(self, row: Any) -> bool:
        """Return whether a sample with `step` and `rewards` is one of those asked for."""
        if self.first is not None and row.step < self.first:
            return False
        if self.last is not None and row.step > self.last:
            return False
        return self.reward is None or self._in_range(row.rewards.get(self.reward))

    def _in_range(self, value: float | None) -> bool:
        """Return whether the reward was given and lies within the limits."""
        if value is None:
            return False
        at_least = self.least is None or value >= self.least
        return at_least and (self.most is None or value <= self.most)


class Side(NamedTuple):
    """The samples of one page on one side of the transition, and how many there are on that side."""

    rows: Sequence[Any]
    total: int


def sides(
    rows: Iterable[Any], asked: Asked, transition: int | None, page: int
) -> tuple[Side, Side]:
    """Return a page of the samples before the transition, the nearest first, and of those from it on.

    Without a transition all are on the first side, the newest first. `page` begins at 0.
    """
    taken = [row for row in rows if asked.takes(row)]
    before = [row for row in taken if transition is None or row.step < transition][::-1]
    after = [row for row in taken if transition is not None and row.step >= transition]
    start = page * EACH_SIDE
    return (
        Side(before[start : start + EACH_SIDE], len(before)),
        Side(after[start : start + EACH_SIDE], len(after)),
    )


def reward_names(rows: Iterable[Any]) -> list[str]:
    """Return the names of the rewards that samples have, sorted."""
    return sorted({name for row in rows for name in row.rewards})


def transition_step(verdict: Mapping[str, Any] | None) -> int | None:
    """Return the step of the transition in a run's latest verdict, None without one that stands."""
    found = (verdict or {}).get("transition")
    return None if not found or found.get("state") == "dismissed" else int(found["step"])
