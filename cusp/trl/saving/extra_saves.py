"""Saves more often while a transition is suspected, so that the last checkpoint before a stop is a near one.

Rank 0 proposes such a save as an order to all ranks, so that they save in the same step.
"""

from typing import Any

from cusp.process.harmless import harmless
from cusp.run import Run
from cusp.trl.arguments import save_interval

TIMES = 5  # as often as the trainer's own saves, while a transition is suspected
MOST = 20  # extra saves of one training: four of its save intervals, if a suspicion never ends


class ExtraSaves:
    """The extra saves of one training, on rank 0; on other ranks it proposes nothing."""

    def __init__(self) -> None:
        self.made = 0
        self._last = 0

    def saved(self, step: int) -> None:
        """Note that a checkpoint of this step is there, whoever asked for it."""
        self._last = step

    @harmless(False)
    def wanted(self, run: Run | None, args: Any, state: Any, control: Any) -> bool:
        """Return whether this step should be saved because a transition is suspected.

        Only between two generations of completions, where a resume is exact.
        """
        if run is None or run.suspected_since is None or self.made >= MOST or control.should_save:
            return False
        every, step = save_interval(args, state), int(state.global_step)
        if every is None or every < 2 or step % generation_steps(args):
            return False
        if step - self._last < max(1, every // TIMES):
            return False
        self.made += 1
        self._last = step
        return True


def generation_steps(args: Any) -> int:
    """Return the optimizer's steps that TRL trains on one generation of completions; 1 elsewhere.

    >>> from types import SimpleNamespace as Arguments
    >>> generation_steps(Arguments(steps_per_generation=8, num_iterations=2, gradient_accumulation_steps=4))
    4
    """
    generated = getattr(args, "steps_per_generation", None) or 1
    reused = getattr(args, "num_iterations", None) or 1
    accumulated = max(1, getattr(args, "gradient_accumulation_steps", None) or 1)
    return int(max(1, -(-generated * reused // accumulated)))
