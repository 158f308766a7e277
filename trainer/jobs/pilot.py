"""A few completions of the first candidate before an evaluation, from which its tokens, time and price are told."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from cusp.settings import from_environment
from trainer import launch
from trainer.evaluation.forecast import Forecast, Lengths, forecast, pilot_sizes
from trainer.evaluation.tasks import TaskSpec
from trainer.recipe import Recipe


class Measured(NamedTuple):
    """Lengths in tokens of one completion for each of some problems, and how many tokens of them are new."""

    lengths: Sequence[int]
    new_tokens: int


Measure = Callable[[TaskSpec, range], Measured]
"""Makes one completion for each of these problems of a task with the first candidate; its rows are kept."""


def piloted(
    tasks: Sequence[TaskSpec],
    candidates: int,
    recipe: Recipe,
    measure: Measure,
    clock: Callable[[], float] = time.monotonic,
) -> Forecast | None:
    """Return what an evaluation will take, after its pilot; None of one too short for it.

    One completion is made before the time is taken, as it waits for the model to be loaded. Where an interrupted
    evaluation goes on, the rows that it has are read and only the new ones tell the speed.
    """
    made: dict[
        str, list[int]
    ] = {}  # a task may be chosen on and reported on: its lengths are alike
    tokens, seconds = 0, 0.0
    for task, size in zip(tasks, pilot_sizes(tasks, candidates), strict=True):
        if size == 0:
            continue
        warm = 1 if not made else 0  # the first completion also waits for the model
        lengths = list(measure(task, range(warm)).lengths) if warm else []
        begun = clock()
        found = measure(task, range(warm, size))
        if found.new_tokens:
            seconds += clock() - begun
            tokens += found.new_tokens
        made.setdefault(task.name, []).extend([*lengths, *found.lengths])
    if not made:
        return None
    known = {name: Lengths.of(each) for name, each in made.items()}
    speed = tokens / seconds if seconds else None
    return forecast(tasks, candidates, known, speed, price_of(recipe))


def price_of(recipe: Recipe) -> float | None:
    """Return dollars an hour of this box: its GPUs at the recipe's price, or the environment's; None: not known."""
    price = recipe.run.gpu_hourly_usd
    if price is None:
        price = from_environment().gpu_hourly_usd
    return None if price is None else price * max(1, launch.visible_gpus())
