"""Leaves a save out where the disk has no room for it: it would end the training with an exception.

Rank 0 looks at its disk and proposes that as an order to all ranks.
"""

import logging
from typing import Any

from cusp.checkpoints import disk
from cusp.process.harmless import harmless
from cusp.run import Run

log = logging.getLogger("cusp")

_NO_REFUSAL: str | None = None


class LeftOut:
    """The saves of one training that are left out, on rank 0."""

    def __init__(self) -> None:
        self._said = False

    @harmless(None)
    def begin(self, run: Run, args: Any, model: Any) -> None:
        """Estimate the first checkpoint from the number of trained parameters."""
        parameters = model.parameters() if model is not None else ()
        trained = sum(each.numel() for each in parameters if each.requires_grad)
        only = bool(getattr(args, "save_only_model", False))
        run.expect_saves(disk.expected(trained, weights_only=only))

    @harmless(_NO_REFUSAL)
    def refusal(self, run: Run | None, control: Any, extra: bool) -> str | None:
        """Return why no checkpoint may be saved in this step, None if one may or none is due.

        `extra`: one is wanted that the trainer does not know of. The first refusal in a row is said, and when
        there is room again.
        """
        if run is None or not (control.should_save or extra or run.open_commands()):
            return None
        why = run.save_refusal()
        if why is not None and control.should_save and not self._said:
            self._said = True
            log.warning("Cusp leaves saves out, and the training goes on: %s", why)
        elif why is None and self._said:
            self._said = False
            log.warning("There is room for checkpoints again; they are saved from now on")
        return why
