"""A recipe's held-out selection set, scored by its training between two steps with its own model or engine.

One completion a problem, whatever the recipe's evaluation draws: for a number of completions the mean over
problems has its least variance with as many problems as there are, and the verification compares per problem.
Sample 0 of each problem has the seed that `evaluate` gives it, so the noise is the same each time.
"""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cusp.errors import CuspError
from cusp.trl.verifying.held_out import CannotVerify, Interrupted
from cusp.trl.verifying.verifier import CommandVerifier
from trainer.evaluation.engines import Draw
from trainer.evaluation.engines.transformers_engine import drawing
from trainer.evaluation.engines.vllm_stream import drawing_with
from trainer.evaluation.evaluate import rows_of
from trainer.evaluation.live_adapter import check_fits, evaluating, weights_of
from trainer.evaluation.tasks import TaskSpec, tasks_of
from trainer.recipe import Recipe
from trainer.verifiers import Score, Verifier, make_verifier

WITH_VLLM = (
    "this training generates with vLLM, and verifies itself with an engine of its own only, one a process"
    " (grpo.vllm_mode=colocate, grpo.vllm_tensor_parallel_size=1 and rollouts.sync=adapter); a worker can"
    " verify meanwhile"
)
SHARDED = (
    "the training's weights are spread over its processes (DeepSpeed, FSDP); a worker can verify"
)


def cannot_verify(recipe: Recipe, trainer: Any) -> str | None:
    """Return why a training of this recipe cannot verify itself, or None if it can."""
    if recipe.evaluation is None:
        return (
            "the recipe names no held-out problems; set `evaluation` in it, for example with"
            " kind: jsonl"
        )
    if trainer.is_deepspeed_enabled or trainer.is_fsdp_enabled:
        return SHARDED
    return WITH_VLLM if recipe.grpo.use_vllm and own_engine(recipe, trainer) is None else None


def own_engine(recipe: Recipe, trainer: Any) -> Any:
    """Return the training's backend if its engine can generate with any checkpoint's adapter; else None."""
    grpo = recipe.grpo
    if not grpo.use_vllm or grpo.vllm_mode != "colocate" or recipe.rollouts.sync != "adapter":
        return None
    return trainer.vllm_generation if trainer.args.vllm_tensor_parallel_size == 1 else None


def selection_set(recipe: Recipe) -> TaskSpec:
    """Return the recipe's selection set with one completion a problem; DataError if there is none.

    None is longer than the training's own, which is all that its engine has room for, and all that it is rewarded for.
    """
    task = tasks_of(recipe, samples_per_problem=1).selection
    longest = min(task.sampling.max_new_tokens, recipe.grpo.max_completion_length)
    sampling = task.sampling.model_copy(update={"max_new_tokens": longest})
    return dataclasses.replace(task, sampling=sampling)


class SelectionSet:
    """Scores the selection set with the weights of a training or of its checkpoints, on one rank."""

    def __init__(
        self,
        recipe: Recipe,
        model: Any,
        tokenizer: Any,
        most_at_once: int,
        interrupted: Interrupted = bool,
        engine: Any = None,
    ) -> None:
        task = selection_set(recipe)
        # As many sequences as the training itself generates at once find room beside the optimizer's state.
        size = min(task.sampling.batch_size, most_at_once)
        sampling = task.sampling.model_copy(update={"batch_size": size})
        self._task = dataclasses.replace(task, sampling=sampling)
        self._model, self._tokenizer, self._seed = model, tokenizer, recipe.seed
        self._interrupted, self._engine = interrupted, engine
        self._verifier: Verifier | None = None

    @property
    def problems(self) -> int:
        """How many problems it has."""
        return len(self._task.problems)

    def scores(self, checkpoint: Path | None, places: range) -> list[Score]:
        """Return the scores of the problems at these places with a checkpoint's weights, or those of now.

        Parameters, gradients and modes of the model are afterwards what they were. Raises CheckpointError or
        AdapterError if the checkpoint cannot be loaded, CannotVerify after a batch if this process was asked to end.
        """
        if self._verifier is None:
            self._verifier = make_verifier(self._task.verifier)
        problems = tuple(self._task.problems[place] for place in places)
        part = dataclasses.replace(self._task, problems=problems)
        with self._generating_with(checkpoint) as draw:
            rows = rows_of(
                draw,
                lambda: self._tokenizer,
                part,
                self._verifier,
                seed=self._seed,
                progress=self._look_up,
            )
        return [row.score for row in rows]

    @contextmanager
    def _generating_with(self, checkpoint: Path | None) -> Iterator[Draw]:
        """Yield what generates with a checkpoint's weights, or those of now."""
        if self._engine is None:
            with evaluating(self._model), weights_of(self._model, checkpoint):
                yield drawing(self._model, self._tokenizer)
            return
        if checkpoint is not None:
            check_fits(checkpoint, self._model)
        with self._engine.using(checkpoint) as engine:
            yield drawing_with(engine, self._model, self._tokenizer)

    def _look_up(self, done: int) -> None:
        """Raise CannotVerify once SIGTERM came: a batch takes seconds, a round minutes, and SIGKILL follows."""
        if self._interrupted():
            raise CannotVerify("the training was asked to end meanwhile")

    def close(self) -> None:
        """Stop the verifier's processes."""
        if self._verifier is not None:
            self._verifier.close()


def verifier_of(
    recipe: Recipe, trainer: Any, tokenizer: Any, interrupted: Interrupted
) -> CommandVerifier:
    """Return what verifies in a training, or refuses to with the reason why it cannot."""
    if why := cannot_verify(recipe, trainer):
        return CommandVerifier(None, why)
    args = trainer.args
    at_once = args.per_device_train_batch_size * (args.steps_per_generation or 1)
    model = trainer.accelerator.unwrap_model(trainer.model)
    try:
        engine = own_engine(recipe, trainer)
        held_out = SelectionSet(recipe, model, tokenizer, at_once, interrupted, engine)
        return CommandVerifier(held_out, "", interrupted)
    except CuspError as error:  # its problems, or a verifier that is not installed
        return CommandVerifier(None, str(error))
