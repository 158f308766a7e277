"""Keeps a recipe's batch size equal on any number of processes, or refuses the number."""

import contextlib

from trainer.recipe import Recipe
from trainer.recipe_loader import RecipeError


def divided(recipe: Recipe, processes: int) -> Recipe:
    """Return the recipe with its completions per step divided among `processes` processes.

    `run.prompts_per_step` says how many they are; without it, the batch under `grpo` times the number of
    processes that it is written for. A recipe that names neither is returned as it is: its batch is per
    process. RecipeError, with the numbers that would do, if they cannot be divided evenly.
    """
    run, grpo = recipe.run, recipe.grpo
    if run.prompts_per_step is None and (run.processes is None or run.processes == processes):
        return recipe
    written_for = run.processes if isinstance(run.processes, int) else processes
    total = recipe.completions_per_step(written_for)
    share, left = divmod(total, processes)
    if left:
        raise RecipeError(_refusal(recipe, total, processes, written_for))
    device = largest_divisor(share, grpo.per_device_train_batch_size)
    sizes = {
        "per_device_train_batch_size": device,
        "gradient_accumulation_steps": share // device,
    }
    if grpo.steps_per_generation is not None:
        generated = written_for * grpo.per_device_train_batch_size * grpo.steps_per_generation
        if generated % (processes * device):
            raise RecipeError(
                f"grpo.steps_per_generation = {grpo.steps_per_generation} generates {generated} completions at"
                f" once, which are no whole number of batches of {processes} x {device}; take another"
                " grpo.per_device_train_batch_size"
            )
        sizes["steps_per_generation"] = generated // (processes * device)
    return recipe.model_copy(
        update={
            "grpo": grpo.model_copy(update=sizes),
            "run": run.model_copy(update={"processes": processes}),
        }
    )


def most_processes(recipe: Recipe, most: int) -> int:
    """Return the greatest number of processes up to `most` that share the recipe's batch evenly.

    `most` itself where none does, which `divided` refuses in a sentence.
    """
    for processes in range(most, 0, -1):
        with contextlib.suppress(RecipeError):
            divided(recipe, processes)
            return processes
    return most


def _refusal(recipe: Recipe, total: int, processes: int, written_for: int) -> str:
    fitting = [n for n in range(1, 2 * max(processes, written_for) + 1) if total % n == 0]
    start = (
        f"the recipe's {total} completions a step cannot be shared by {processes} processes; take"
        f" {', '.join(map(str, fitting))} (--processes), or "
    )
    if (prompts := recipe.run.prompts_per_step) is None:
        return start + "another grpo.per_device_train_batch_size"
    group = recipe.grpo.num_generations
    near = [n for n in range(1, 2 * prompts + processes + 1) if n * group % processes == 0]
    below = [n for n in near if n < prompts][-1:]
    above = [n for n in near if n > prompts][:1]
    return start + f"run.prompts_per_step={' or '.join(map(str, below + above))}"


def largest_divisor(number: int, most: int) -> int:
    """Return the largest divisor of a number that is at most `most`.

    >>> largest_divisor(48, 6), largest_divisor(16, 6)
    (6, 4)
    """
    return next(each for each in range(min(number, most), 0, -1) if number % each == 0)
