"""SIGTERM (`docker stop`, a preempted box): save, and end after the step in flight.

Processes are told at different moments, and one that ended alone would leave the others waiting for it:
the first one's word counts, told to all at the end of each step.
"""

import signal
import threading
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from cusp import Run
from trainer.training.distributed import AskedToEnd


class EndWhenAsked(TrainerCallback):  # type: ignore[misc]  # transformers ships no types for it
    """Ends the training at the end of a step once SIGTERM came, with a checkpoint of that step."""

    def __init__(self, run: Run | None) -> None:
        self._run = run
        self._asked = threading.Event()
        self._ending = False
        self._before: Any = None

    def on_train_begin(self, *arguments: Any, **kwargs: Any) -> None:
        """Listen from now on, where this is the thread that may."""
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, lambda *_: self._asked.set())

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Agree on the first process's word and act on it in this step."""
        self._ending = _first_says(self._asked.is_set(), args.device)
        if self._ending:
            control.should_save = True
            control.should_training_stop = True

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Say on the run's page that it was cut off, and in the terminal how to go on."""
        if not self._ending or state.global_step >= state.max_steps:
            return
        if self._run is not None:
            words = f"asked to end (SIGTERM) at step {state.global_step}, which was saved"
            self._run.finish("failed", words, step=state.global_step)
            raise AskedToEnd(f"{words}; go on with: cusp train --resume --run-id {self._run.id}")

    def listen_no_more(self) -> None:
        """Let SIGTERM do again what it did before."""
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)
            self._before = None


def _first_says(asked: bool, device: torch.device) -> bool:
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return asked
    told = torch.tensor([int(asked)], dtype=torch.int32, device=device)
    torch.distributed.broadcast(told, src=0)
    return bool(told.item())
