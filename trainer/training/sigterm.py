"""Graceful shutdown on SIGTERM (`docker stop`, a preempted box): save, and end after the current step.

Processes get the signal at different times, and one that ended alone would block the others: rank 0
broadcasts at the end of each step whether to end.
"""

import signal
import threading
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from cusp import Run
from trainer.training.distributed import AskedToEnd


class EndWhenAsked(TrainerCallback):  # type: ignore[misc]  # transformers ships no types for it
    """Ends the training with a checkpoint at the end of the step in which SIGTERM came."""

    def __init__(self, run: Run | None) -> None:
        self._run = run
        self._asked = threading.Event()
        self._ending = False
        self._before: Any = None

    @property
    def asked(self) -> bool:
        """Whether SIGTERM came in this process."""
        return self._asked.is_set()

    def on_train_begin(self, *arguments: Any, **kwargs: Any) -> None:
        """Install the signal handler, if this is the main thread."""
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, lambda *_: self._asked.set())

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Broadcast rank 0's decision and act on it in this step."""
        self._ending = _first_says(self._asked.is_set(), args.device)
        if self._ending:
            control.should_save = True
            control.should_training_stop = True

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Record the interruption on the run's page, and print how to resume."""
        if not self._ending or state.global_step >= state.max_steps:
            return
        if self._run is not None:
            saved = (Path(args.output_dir) / f"checkpoint-{state.global_step}").is_dir()
            how = "which was saved" if saved else "which was not saved, for want of room"
            words = f"asked to end (SIGTERM) at step {state.global_step}, {how}"
            self._run.finish("failed", words, step=state.global_step)
            raise AskedToEnd(f"{words}; go on with: cusp train --resume --run-id {self._run.id}")

    def listen_no_more(self) -> None:
        """Restore the previous handler of SIGTERM."""
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)
            self._before = None


def _first_says(asked: bool, device: torch.device) -> bool:
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return asked
    told = torch.tensor([int(asked)], dtype=torch.int32, device=device)
    torch.distributed.broadcast(told, src=0)
    return bool(told.item())
