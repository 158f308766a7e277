"""Reads rewards, roles and sample completions off a trainer, and reports them in the terminal."""

import weakref
from collections.abc import Callable, Mapping
from typing import Any

from cusp import terminal
from cusp.process.harmless import harmless
from cusp.protocol.messages import Command
from cusp.protocol.run import RunMetadata
from cusp.run import Run
from cusp.trl.batch_sums import BatchSums
from cusp.trl.reward_functions import rewards_read
from cusp.trl.samples import Generation, Sampler, generation_of
from cusp.trl.scores import Evaluate, scores

_NO_SUMS: Mapping[str, float] = {}
_NO_GENERATION = Generation()


class TrainerReading:
    """Rewards, roles and completions of one trainer; without a trainer only the user's arguments."""

    def __init__(self, metadata: RunMetadata, roles: Mapping[str, list[str]]) -> None:
        self.scores: dict[int, list[float]] = {}
        self._metadata = metadata.model_copy(update={"roles": dict(roles)}) if roles else metadata
        self._trainer: Callable[[], Any] = lambda: None
        self._generating: Callable[[], Any] = lambda: None
        self._sampler: Sampler | None = None
        self._sums: BatchSums | None = None
        self.evaluate: Evaluate | None = None
        self._roles_said = False

    def of(
        self,
        trainer: Any,
        metadata: RunMetadata | None,
        roles: Mapping[str, list[str]],
        samples: int,
        evaluate: Evaluate | None,
    ) -> None:
        """Read this trainer from now on; the arguments replace earlier ones."""
        self._trainer = weakref.ref(
            trainer
        )  # a weak reference: a notebook deletes its trainer to free memory
        known = metadata or self._metadata
        self._metadata = known.model_copy(update={"roles": dict(roles)}) if roles else known
        self._sampler = Sampler(samples)
        self.batches_of(trainer)
        self.evaluate = evaluate or self.evaluate

    def batches_of(self, trainer: Any) -> None:
        """Read the sums of each step off this trainer from now on (`batch_sums.py`)."""
        self._generating = weakref.ref(trainer)
        self._sums = BatchSums()

    def known(self) -> RunMetadata:
        """Return the metadata known before the training begins: the user's, and the trainer's."""
        trainer = self._trainer()
        return self._metadata if trainer is None else rewards_read(trainer, self._metadata)

    def begin(self) -> None:
        """Reset for another training, of the same trainer or another."""
        self._roles_said = False

    @harmless(_NO_GENERATION)
    def generation(self) -> Generation:
        """Return what the trainer keeps of its last generation, for `sums` and `point` in another thread."""
        return generation_of(self._generating())

    @harmless(_NO_SUMS)
    def sums(self, logs: Mapping[str, object], generation: Generation) -> Mapping[str, float]:
        """Return what else is known of the step: standard errors, and means without effects of the prompts."""
        if self._sums is None or any(name.startswith("eval_") for name in logs):
            return {}
        return self._sums.of_step(logs, generation)

    @harmless(None)
    def point(
        self, run: Run, logs: Mapping[str, object], step: int, generation: Generation
    ) -> None:
        """Print the roles of the logged keys once; send a few completions of the step."""
        if any(name.startswith("eval_") for name in logs):
            return
        if not self._roles_said:
            self._roles_said = True
            terminal.roles_seen(logs, self.known())
        if self._sampler is not None:
            self._sampler.send(run, step, generation)

    @harmless(None)
    def end(self, run: Run, stop: Command | None, state: Any, world_size: int, sent: bool) -> None:
        """Print how the training ended; score the kept and the last checkpoint if `evaluate` is set."""
        if stop is not None:
            terminal.stopped(run, stop, state.global_step, state.max_steps)
        else:
            terminal.ended(run, state.global_step, state.max_steps, sent=sent)
        if self.evaluate is not None:
            self.scores = scores(self.evaluate, run.kept, run.last_checkpoint, world_size)
