"""Callbacks of the reference trainer: progress lines, samples for the monitor, early stop."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from cusp import Run
from trainer.recipe import Recipe
from trainer.training.rewards import RewardFunction, text_of

_SHOWN = {
    "format": "rewards/format_reward/mean",
    "accuracy": "rewards/accuracy_reward/mean",
    "length": "completions/mean_length",
    "reward": "reward",
}


class ProgressCallback(TrainerCallback):  # type: ignore[misc]  # transformers ships no types for it
    """Prints one line every `every` steps."""

    def __init__(self, say: Callable[[str], None], every: int, last_step: int) -> None:
        self._say, self._every, self._last_step = say, every, last_step

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, object] | None = None,
        **kwargs: Any,
    ) -> None:
        step = state.global_step
        if logs and "train_runtime" not in logs and (step % self._every == 0 or step == 1):
            self._say(progress_line(step, self._last_step, logs))


def progress_line(step: int, last_step: int, logs: Mapping[str, object]) -> str:
    """Return a line like `step 10 of 160: format 0.52, accuracy 0.23, length 41.8`; None is left out.

    >>> progress_line(10, 160, {"rewards/format_reward/mean": 0.52, "reward": None})
    'step 10 of 160: format 0.52'
    """
    values = [(name, logs.get(key)) for name, key in _SHOWN.items()]
    shown = [f"{name} {value:.3g}" for name, value in values if isinstance(value, float)]
    return f"step {step} of {last_step}: {', '.join(shown) or 'nothing measured'}"


class StopAtStep(TrainerCallback):  # type: ignore[misc]
    """Ends the training at a step before the end of the learning-rate schedule."""

    def __init__(self, step: int) -> None:
        self._step = step

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if state.global_step >= self._step:
            control.should_save = True
            control.should_training_stop = True


def say_and_stop(trainer: Any, recipe: Recipe, say: Callable[[str], None]) -> None:
    """Give a training its progress lines instead of transformers' own, and its end."""
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(ProgressCallback(say, recipe.run.progress_every_steps, recipe.last_step))
    if recipe.last_step < recipe.grpo.max_steps:
        trainer.add_callback(StopAtStep(recipe.last_step))


class SampleCallback(TrainerCallback):  # type: ignore[misc]
    """Sends one prompt and completion with its rewards every `every` steps.

    TRL passes completions to reward functions only, so these are wrapped.
    """

    def __init__(self, every: int) -> None:
        self.run: Run | None = None
        self._every = every
        self._prompt = self._completion = ""
        self._rewards: dict[str, object] = {}

    def watch(self, functions: Sequence[RewardFunction]) -> list[RewardFunction]:
        """Return wrapped functions that remember the first completion of each batch."""
        return [self._watched(function) for function in functions]

    def _watched(self, function: RewardFunction) -> RewardFunction:
        @functools.wraps(function)
        def watched(prompts: Any, completions: Any, **columns: Any) -> list[float | None]:
            rewards = function(prompts=prompts, completions=completions, **columns)
            self._prompt = _last_message(prompts[0])
            self._completion = text_of(completions[0])
            self._rewards[function.__name__] = rewards[0]
            return rewards

        return watched

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, object] | None = None,
        **kwargs: Any,
    ) -> None:
        due = state.global_step % self._every == 0 or state.global_step == 1
        if self.run is not None and due and logs and "train_runtime" not in logs:
            self.run.sample(state.global_step, self._prompt, self._completion, self._rewards)


def _last_message(prompt: Any) -> str:
    return prompt if isinstance(prompt, str) else str(prompt[-1]["content"])
