"""A few completions of the first candidate before an evaluation, from which its tokens, time and price are told."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import cycle, islice
from typing import NamedTuple

from cusp.settings import from_environment
from trainer import launch
from trainer.evaluation.engines.openai_engine import AT_ONCE
from trainer.evaluation.forecast import Forecast, Lengths, completions_of, forecast, pilot_sizes
from trainer.evaluation.pace import Decoding, Lanes, Pace
from trainer.evaluation.tasks import TaskSpec
from trainer.recipe import Recipe

VLLM_AT_ONCE = 256  # --max-num-seqs


class Measured(NamedTuple):
    """Lengths in tokens of one completion for each of some problems, and those of them that are new."""

    lengths: Sequence[int]
    new: Sequence[int]


Measure = Callable[[TaskSpec, range], Measured]
"""Makes one completion for each of these problems of a task with the first candidate; its rows are kept."""
Stored = Callable[[TaskSpec], Sequence[int]]
"""How many completions of a task are made of each candidate, now or by an evaluation before."""


def piloted(
    tasks: Sequence[TaskSpec],
    candidates: int,
    recipe: Recipe,
    measure: Measure,
    stored: Stored,
    clock: Callable[[], float] = time.monotonic,
) -> Forecast | None:
    """Return what an evaluation will take, after its pilot; None of one too short for it.

    One completion is made before the time is taken, as it waits for the model to be loaded, then one alone and the
    others together, which tells the pace. The time is that of what is not made yet of any candidate. Where an
    interrupted evaluation goes on, the rows that it has are read and only the new ones tell the pace.
    """
    lanes = lanes_of(recipe)
    sizes = pilot_sizes(tasks, candidates)
    made: dict[
        str, list[int]
    ] = {}  # a task may be chosen on and reported on: its lengths are alike
    measured: list[tuple[int, Decoding, float]] = []  # place of the task
    new = 0
    for place, (task, size) in enumerate(zip(tasks, sizes, strict=True)):
        if size == 0:
            continue
        loading = None if made else range(1)
        parts = [loading, range(1, min(2, size)), range(2, size)] if loading else [range(size)]
        lengths: list[int] = []
        for part in filter(None, parts):
            begun = clock()
            found = measure(task, part)
            if found.new and part is not loading:
                measured.append((place, lanes.work(found.new), clock() - begun))
            lengths += found.lengths
            new += len(found.new)
        made.setdefault(task.name, []).extend(lengths)
    if not made:
        return None
    known = {name: Lengths.of(each) for name, each in made.items()}
    there = [stored(task) for task in tasks]
    seconds = None
    if measured:
        wanted = [
            [completions_of(task) - number for number in numbers]
            for task, numbers in zip(tasks, there, strict=True)
        ]
        seconds = _seconds(tasks, wanted, made, measured, lanes)
    told = forecast(tasks, candidates, known, price_of(recipe), seconds=seconds)
    return replace(told, before=sum(map(sum, there)) - new)


def _seconds(
    tasks: Sequence[TaskSpec],
    wanted: Sequence[Sequence[int]],
    made: Mapping[str, Sequence[int]],
    measured: Sequence[tuple[int, Decoding, float]],
    lanes: Lanes,
) -> float:
    """Return the seconds for completions whose lengths are those of the pilot, over and over.

    A task's own seconds in the pilot correct the common pace: its prompts may be longer, its judge slower.
    """
    pace = Pace.of([(work, seconds) for _, work, seconds in measured])
    usual = [length for lengths in made.values() for length in lengths]
    total = 0.0
    for place, (task, numbers) in enumerate(zip(tasks, wanted, strict=True)):
        own = [(work, seconds) for at, work, seconds in measured if at == place]
        told = sum(pace.seconds(work) for work, _ in own)
        factor = sum(seconds for _, seconds in own) / told if told else 1.0
        lengths = made.get(task.name) or usual
        for number in numbers:
            work = lanes.work(list(islice(cycle(lengths), number)))
            total += factor * pace.seconds(work)
    return total


def lanes_of(recipe: Recipe) -> Lanes:
    """Return how many completions the recipe's engine makes at once, and whether a batch ends with its longest.

    vLLM takes all of a task; it decodes so many at once (its own default on most devices) on each GPU.
    """
    assert recipe.evaluation is not None  # it is being evaluated
    size = recipe.evaluation.sampling.batch_size
    match recipe.evaluation.engine.kind:
        case "hf":
            return Lanes(size, together=True)
        case "vllm":
            return Lanes(VLLM_AT_ONCE * max(1, launch.visible_gpus()), together=False)
        case "openai":
            return Lanes(min(size, AT_ONCE), together=False)


def price_of(recipe: Recipe) -> float | None:
    """Return dollars an hour of this box: its GPUs at the recipe's price, or the environment's; None: not known."""
    price = recipe.run.gpu_hourly_usd
    if price is None:
        price = from_environment().gpu_hourly_usd
    return None if price is None else price * max(1, launch.visible_gpus())
