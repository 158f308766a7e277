"""Room that a run's checkpoints may take: what they take now, what the next save will, what may go for it."""

from collections.abc import Mapping
from pathlib import Path

from cusp.checkpoints import disk, paths, pinning, rotation


class Room:
    """Sizes of one run's checkpoints. Measured in the background; `refusal` is for the training's thread.

    `since` is the last step that is surely from before a suspected transition, or None. `first` is the estimate for a
    first save in bytes, 0 for none.
    """

    def __init__(self, budget: int | None) -> None:
        self.budget = budget
        self.since: int | None = None
        self.first = 0
        self.used = 0
        self._last: list[int] = []

    @property
    def needed(self) -> int:
        """The estimated bytes of the next save."""
        return disk.next_size(self._last, self.first)

    def saved(self, path: Path) -> None:
        """Note the size of a checkpoint that was just saved."""
        self._last = [*self._last[-2:], disk.size_of(path)]

    def refusal(self, root: Path) -> str | None:
        """Return why the next save below `root` should be left out, None if there is room."""
        return disk.refusal(root, self.needed, self.used, self.budget)

    def measure(self, root: Path, run_id: str) -> dict[int, int]:
        """Measure what the run's checkpoints take; return the bytes of the trainer's own by step."""
        own = {paths.step_of(path) or 0: disk.size_of(path) for path in paths.folders_in(root)}
        beside = (rotation.folder(root, run_id), pinning.folder(root, run_id))
        self.used = sum(own.values()) + sum(disk.size_of(folder) for folder in beside)
        return own

    def too_many(self, own: Mapping[int, int]) -> list[int]:
        """Return the steps of the trainer's own checkpoints to delete so that the next save is within the budget.

        Half of what fits stays without a gap, older ones ever more sparsely; all that a suspicion may need stay.
        """
        if self.budget is None:
            return []
        fits = self.budget - (self.used - sum(own.values())) - self.needed
        newest = max(2, fits // max(1, self.needed) // 2)
        spared = rotation.needed(own, self.since)
        return rotation.evictions(own, len(own), newest, max(0, fits), spared)

    def held_at_most(self, held: int, root: Path) -> int:
        """Return the bytes that held checkpoints may take, of which `held` are taken now."""
        limits = [rotation.MOST_BYTES]
        if self.budget is not None:
            limits.append(self.budget - (self.used - held) - self.needed)
        if (free := disk.free(root)) is not None:
            limits.append(held + free - self.needed - disk.SPARE)
        return max(0, min(limits))
