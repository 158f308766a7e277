"""Saves of a watched training: more of them while a transition is suspected, none where the disk has no room.

Both are proposed by rank 0 as orders to all ranks, so that they save, or leave a save out, in the same step.
"""

import logging
from typing import Any

from cusp.checkpoints import disk
from cusp.process.harmless import harmless
from cusp.run import Run
from cusp.trl.arguments import save_interval

log = logging.getLogger("cusp")

_NO_REFUSAL: str | None = None
TIMES = 5  # as often as the trainer's own saves, while a transition is suspected
MOST = 20  # extra saves of one training: four of its save intervals, if a suspicion never ends


class Saves:
    """The saves of one training, as rank 0 minds them; on other ranks it proposes nothing."""

    def __init__(self) -> None:
        self.extra = 0
        self._last = 0
        self._refused = False

    @harmless(None)
    def begin(self, run: Run, args: Any, state: Any, model: Any) -> None:
        """Estimate the first checkpoint from the number of trained parameters."""
        self._last = int(state.global_step)
        parameters = model.parameters() if model is not None else ()
        trained = sum(each.numel() for each in parameters if each.requires_grad)
        only = bool(getattr(args, "save_only_model", False))
        run.expect_saves(disk.expected(trained, weights_only=only))

    def saved(self, step: int) -> None:
        """Note that a checkpoint of this step is there, whoever asked for it."""
        self._last = step

    @harmless(False)
    def wanted(self, run: Run | None, args: Any, state: Any, control: Any) -> bool:
        """Return whether this step should be saved because a transition is suspected.

        Only between two generations of completions, where a resume is exact.
        """
        if run is None or run.suspected_since is None or self.extra >= MOST or control.should_save:
            return False
        every, step = save_interval(args, state), int(state.global_step)
        if every is None or every < 2 or step % generation_steps(args):
            return False
        if step - self._last < max(1, every // TIMES):
            return False
        self.extra += 1
        self._last = step
        return True

    @harmless(_NO_REFUSAL)
    def refusal(self, run: Run | None, control: Any, extra: bool) -> str | None:
        """Return why no checkpoint may be saved in this step, None if one may or none is due.

        The first refusal in a row is said, and when there is room again.
        """
        if run is None or not (control.should_save or extra or run.open_commands()):
            return None
        why = run.save_refusal()
        if why is not None and control.should_save and not self._refused:
            self._refused = True
            log.warning("Cusp leaves saves out, and the training goes on: %s", why)
        elif why is None and self._refused:
            self._refused = False
            log.warning("There is room for checkpoints again; they are saved from now on")
        return why


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
