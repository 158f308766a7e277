"""Keeps a recipe's batch size equal on another number of processes, or refuses it."""

from trainer.recipe import Recipe
from trainer.recipe_loader import RecipeError


def divided(recipe: Recipe, processes: int) -> Recipe:
    """Return the recipe with its completions per step divided among `processes` processes.

    In a recipe without `run.processes` the batch is per process, whatever their number. RecipeError if the
    completions cannot be divided evenly.
    """
    written_for = recipe.run.processes
    if written_for is None or written_for == processes:
        return recipe
    grpo = recipe.grpo
    total = recipe.completions_per_step(written_for)
    share, left = divmod(total, processes)
    if left:
        fitting = [n for n in range(1, 2 * max(processes, written_for) + 1) if total % n == 0]
        raise RecipeError(
            f"the recipe's {total} completions a step cannot be shared by {processes} processes; take"
            f" {', '.join(map(str, fitting))} (--processes), or another"
            " grpo.per_device_train_batch_size"
        )
    device = largest_divisor(share, grpo.per_device_train_batch_size)
    sizes = {
        "per_device_train_batch_size": device,
        "gradient_accumulation_steps": share // device,
    }
    return recipe.model_copy(
        update={
            "grpo": grpo.model_copy(update=sizes),
            "run": recipe.run.model_copy(update={"processes": processes}),
        }
    )


def largest_divisor(number: int, most: int) -> int:
    """Return the largest divisor of a number that is at most `most`.

    >>> largest_divisor(48, 6), largest_divisor(16, 6)
    (6, 4)
    """
    return next(each for each in range(min(number, most), 0, -1) if number % each == 0)
