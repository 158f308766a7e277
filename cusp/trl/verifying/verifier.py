"""Carries out `verify` commands: by the training itself between two steps, or by the user's function.

A failure refuses the command with its reason; the training goes on on all ranks in any case.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from cusp import terminal
from cusp.checkpoints import manifest
from cusp.process.excepthook import sentence
from cusp.process.harmless import harmless
from cusp.protocol.messages import Command, VerifyOrder
from cusp.protocol.run import By, RunMetadata
from cusp.run import Run
from cusp.trl import orders
from cusp.trl.attendance import distributed
from cusp.trl.scores import Evaluate
from cusp.trl.verifying import by_function, summary
from cusp.trl.verifying.held_out import CannotVerify, Earlier, HeldOut, Interrupted, Scored
from cusp.trl.verifying.rounds import Known, Rounds, rounds
from cusp.trl.verifying.together import score

log = logging.getLogger("cusp")

MOST_KNOWN = 64  # checkpoints whose scores are remembered: some looks of a few checkpoints each
NOTHING_SCORES = (
    "this training has no held-out problems to score: give CuspCallback or cusp.watch the function"
    " evaluate=, or a recipe its evaluation"
)


@dataclass(frozen=True)
class UnderWay:
    """A `verify` command, on rank 0, with the folder of each of its pinned checkpoints by step."""

    command: Command
    pinned: Mapping[int, Path]

    @property
    def order(self) -> VerifyOrder:
        """How to verify."""
        return self.command.verify or VerifyOrder()

    def earlier(self, step: int) -> list[Earlier]:
        """Return the pinned checkpoints before `step`, by step; CannotVerify if there is none."""
        found = [
            Earlier(of, path, manifest.read_manifest(path).sha256)
            for of, path in sorted(self.pinned.items())
            if of < step
        ]
        if not found:
            steps = ", ".join(map(str, sorted(self.pinned)))
            raise CannotVerify(f"its checkpoints (steps {steps}) are not before step {step}")
        return found


_NONE_READY: tuple[UnderWay, ...] = ()


class CommandVerifier:
    """Verifies in one training; on every rank, with the commands on rank 0 only."""

    def __init__(
        self,
        held_out: HeldOut | None = None,
        why_not: str | None = None,
        interrupted: Interrupted = bool,
    ) -> None:
        self._held_out, self._why_not = held_out, why_not or NOTHING_SCORES
        self._interrupted = interrupted
        self._known: Known = {}
        self._known_of: Evaluate | None = None  # the function whose scores those are
        self._under_way: UnderWay | None = None
        self._tried: set[str] = set()
        self._awaits_save = False

    def begin(self) -> None:
        """Reset for another training; scores of earlier checkpoints stay known."""
        self._under_way, self._awaits_save = None, False

    def close(self) -> None:
        """Let go what scores."""
        if self._held_out is not None:
            self._held_out.close()

    def by(self, evaluate: Evaluate | None) -> By | None:
        """Return who would verify, or None if nobody in this training can."""
        if self._held_out is not None:
            return "training"
        return "function" if evaluate is not None and by_function.why_not() is None else None

    def announced(self, metadata: RunMetadata, evaluate: Evaluate | None) -> RunMetadata:
        """Return the metadata with who verifies, unless the user told it."""
        by = metadata.verifies or self.by(evaluate)
        return metadata.model_copy(update={"verifies": by})

    def proposed(self, run: Run | None, evaluate: Evaluate | None) -> tuple[Command, int] | None:
        """Return the next `verify` command that can be carried out, with the bit of its order."""
        ready = () if self._awaits_save else self._ready(run, evaluate)
        if not ready:
            return None
        self._under_way = ready[0]
        by_training = self.by(evaluate) == "training"
        return ready[0].command, orders.VERIFY if by_training else orders.VERIFY_SAVED

    @harmless(_NONE_READY)
    def _ready(self, run: Run | None, evaluate: Evaluate | None) -> tuple[UnderWay, ...]:
        """Return the first `verify` command that can be carried out; refuse those that never can be."""
        by = self.by(evaluate)
        if run is None or run.should_stop():  # also one that waits for its save
            return ()
        for command, pinned in run.to_verify():
            if command.command_id in self._tried:
                continue
            if by is not None and pinned:
                return (UnderWay(command, pinned),)
            steps = ", ".join(map(str, command.steps)) or "none"
            why = f"no whole checkpoint of those named is on this box (steps: {steps})"
            if by is None:
                why = (by_function.why_not() if evaluate is not None else None) or self._why_not
            self._refuse(run, command, why)
        return ()

    def at_step(self, run: Run | None, step: int) -> None:
        """Let the training score its problems with the weights after `step`; call it on all ranks."""
        asked, self._under_way = self._under_way, None
        plan = self._plan(asked, step) if asked is not None else None

        def interrupted() -> bool:
            return self._interrupted() or (run is not None and run.should_stop())

        self._carry_out(
            run, asked, step, "training", lambda: score(self._held_out, plan, interrupted)
        )

    def await_save(self) -> None:
        """Let the function verify after the next save; call it on all ranks."""
        self._awaits_save = True

    def at_save(self, run: Run | None, step: int, saved: Path, evaluate: Evaluate | None) -> None:
        """Let the function score the checkpoint of `step`, if that is awaited; call it on all ranks.

        The other ranks wait while rank 0 calls it.
        """
        if not self._awaits_save:
            return
        self._awaits_save = False
        asked, self._under_way = self._under_way, None
        try:
            self._carry_out(
                run, asked, step, "function", lambda: self._called(asked, step, saved, evaluate)
            )
        finally:
            if distributed():
                torch.distributed.barrier()

    def _carry_out(
        self,
        run: Run | None,
        asked: UnderWay | None,
        step: int,
        by: By,
        scores: Callable[[], Scored | None],
    ) -> None:
        """Score, and answer the command, which rank 0 has."""
        begun = time.monotonic()
        why = "it was left off"
        try:
            scored = scores()
            if run is None or asked is None:
                return
            if scored is not None:
                took = time.monotonic() - begun
                cost = scored.completions
                run.verified(
                    asked.command, step, scored.scores, by=by, completions=cost, seconds=took
                )
                self._tried.add(asked.command.command_id)
                terminal.say(summary.line(step, scored, asked.order.alpha))
                return
        except CannotVerify as error:
            why = str(error)
        except Exception as error:
            log.exception("A fault of Cusp while it verifies; the training goes on")
            why = f"a fault of Cusp: {sentence(error)}"
        finally:
            while len(self._known) > MOST_KNOWN:
                del self._known[next(iter(self._known))]
        if run is not None and asked is not None and asked.command.command_id not in self._tried:
            self._refuse(run, asked.command, why)

    def _plan(self, asked: UnderWay, step: int) -> Rounds:
        """Return the plan. What fails in it does so in its first round, so that all ranks learn of it."""
        problems = self._held_out.problems if self._held_out is not None else 0
        return (yield from rounds(step, asked.earlier(step), asked.order, problems, self._known))

    def _called(
        self, asked: UnderWay | None, step: int, saved: Path, evaluate: Evaluate | None
    ) -> Scored | None:
        if asked is None or evaluate is None:
            return None
        if evaluate is not self._known_of:  # its problems may be others
            self._known.clear()
            self._known_of = evaluate
        return by_function.scored(evaluate, step, saved, asked.earlier(step), self._known)

    def _refuse(self, run: Run, command: Command, why: str) -> None:
        self._tried.add(command.command_id)
        run.acknowledge(command, "refused", reason=why)
        terminal.say(f"nothing was verified: {why}")
