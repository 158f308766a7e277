"""Tokens and seconds of an evaluation: told after its pilot, and taken. Engine hf, several sizes.

python -m benchmarks.evaluation.foretold [--recipe tiny|smol] [--quick] [--wall] [--seed 1] [--json FILE]

The worker's own pieces (`trainer/jobs/pilot.py`, `bench.py`) score the base model and two random adapters of a recipe
on its selection and report set. Each size is done twice: in an empty folder, and with the rows of the first two
candidates there, as an interrupted evaluation has them. Seconds are CPU seconds of this process (threads and all), for
the load of the box to say nothing; with `--wall` those of the clock, which is what the worker tells, on a quiet box.
What is told is for what is left to make after the pilot, and so is what is taken. Bar: within 25 %,
seconds where it takes five or more.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.evaluation.draws import markdown
from tests.vllm.servers import random_adapters
from trainer.box import Box
from trainer.evaluation.forecast import Forecast
from trainer.evaluation.tasks import TaskSpec, tasks_of
from trainer.jobs.bench import Accelerator, Bench
from trainer.jobs.pilot import Measured, piloted
from trainer.recipe import Recipe
from trainer.recipe_loader import load_recipe
from trainer.training.model import load_base

BAR = 0.25
FROM_S = 5.0  # a shorter evaluation is over before it is read; its seconds are shown and not held to the bar
SIZES = {  # problems of each set, samples a problem, most new tokens
    "tiny": ((100, 4, 32), (300, 2, 64), (300, 4, 64), (500, 4, 48)),
    "smol": ((64, 1, 24), (128, 1, 48)),
}
QUICK = {"tiny": ((100, 4, 32), (300, 2, 64)), "smol": ((50, 1, 8),)}
Candidate = tuple[Path | None, str | None]  # adapter and its hash; None: the base model
Clock = Callable[[], float]


class Told(NamedTuple):
    """One evaluation: what was told, what the rest took."""

    size: str
    before: int
    completions: int
    tokens: float
    tokens_taken: int
    seconds: float
    seconds_taken: float

    @property
    def off(self) -> tuple[float, float]:
        """How far tokens and seconds were told off, as a share of what was taken."""
        return self.tokens / self.tokens_taken - 1, self.seconds / self.seconds_taken - 1

    @property
    def cells(self) -> list[str]:
        """The row of the table."""
        tokens, seconds = (f"{each:+.0%}" for each in self.off)
        return [
            self.size, f"{self.before:,}", f"{self.completions:,}", f"{self.tokens:,.0f}",
            f"{self.tokens_taken:,}", tokens, f"{self.seconds:.1f}", f"{self.seconds_taken:.1f}", seconds,
        ]  # fmt: skip


def told_of(
    bench: Bench, recipe: Recipe, candidates: Sequence[Candidate], clock: Clock
) -> Forecast | None:
    """Return what `cusp worker` tells: the pilot of each task with the adapter that has most to make."""
    adapters = [each for each in candidates if each[0] is not None]
    chosen = {
        (task.name, task.split): min(adapters, key=lambda each: bench.stored(each[1], task))
        for task in bench.tasks
    }

    def measure(task: TaskSpec, places: range) -> Measured:
        path, sha256 = chosen[task.name, task.split]
        return bench.measured(path, sha256, task, places, lambda _: None)

    def stored(task: TaskSpec) -> list[int]:
        return [bench.stored(each, task) for _, each in candidates]

    return piloted(bench.tasks, len(candidates), recipe, measure, stored, clock)


def evaluated(
    recipe: Recipe, candidates: Sequence[Candidate], cache: Path, size: str, clock: Clock
) -> Told | None:
    """Return what was told of an evaluation and what it took; None of one that is too short to be told."""
    sets = tasks_of(recipe)
    tasks = [sets.selection, *sets.report]
    place = Accelerator(Box(cache, has_gpu=False), cache / "training.lock", "measures")
    bench = Bench(recipe, tasks, 1, cache, place, lambda _: None)
    try:
        before = sum(bench.stored(each, task) for _, each in candidates for task in tasks)
        found = told_of(bench, recipe, candidates, clock)
        if found is None or found.seconds is None:
            return None
        begun = clock()
        done = [
            bench.score(path, sha256, task, lambda _: None)
            for task in tasks
            for path, sha256 in candidates
        ]
        took = clock() - begun
    finally:
        bench.close()
    tokens = sum(row.tokens for each in done for row in each.rows)
    return Told(size, before, found.completions, found.tokens, tokens, found.seconds, took)


def sized(name: str, problems: int, samples: int, tokens: int, seed: int) -> Recipe:
    """Return a recipe whose evaluation has this size."""
    sampling = f"samples_per_problem={samples}", f"max_new_tokens={tokens}"
    return load_recipe(
        name,
        [
            *(f"evaluation.{which}_problems={problems}" for which in ("selection", "report")),
            *(f"evaluation.sampling.{each}" for each in sampling),
            f"evaluation.seed={seed}",
        ],
    )


def main() -> int:
    """Print a row an evaluation; return 1 if one was told off by more than the bar."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--recipe", choices=list(SIZES), default="tiny")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--wall", action="store_true", help="seconds of the clock, on a quiet box")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    clock = time.monotonic if options.wall else time.process_time
    rows: list[Told] = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        model, _ = load_base(load_recipe(options.recipe, ()), folder / "cache", print)
        adapters = random_adapters(model, folder, 0.02)
        every: list[Candidate] = [(None, None), *((each, each.name) for each in adapters[:2])]
        del model
        for size in (QUICK if options.quick else SIZES)[options.recipe]:
            recipe = sized(options.recipe, *size, options.seed)
            words = "{} x {} x {}".format(*size)
            for name, first in (("empty", every), ("half", every[:2])):
                cache = folder / "cache" / f"{name}-{words.replace(' ', '')}"
                cache.mkdir(parents=True)
                found = [evaluated(recipe, first, cache, words, clock)]
                if name == "half":
                    found = [evaluated(recipe, every, cache, words, clock)]
                    if found == [None]:
                        print(f"{words}: no seconds are told with half of the rows there")
                for one in filter(None, found):
                    rows.append(one)
                    print(
                        f"{words}, {name}: {one.off[0]:+.0%} tokens, {one.off[1]:+.0%} seconds",
                        flush=True,
                    )
    kind = "seconds" if options.wall else "CPU seconds"
    head = ("problems x samples x tokens", "made before", "completions", "tokens told", "taken", "off",
            f"{kind} told", "taken", "off")  # fmt: skip
    print(
        f"\n{options.recipe}, seed {options.seed}\n\n{markdown(head, [one.cells for one in rows])}"
    )
    if options.json:
        options.json.write_text(json.dumps([one._asdict() for one in rows]))
    held = [(abs(one.off[0]), abs(one.off[1]) * (one.seconds_taken >= FROM_S)) for one in rows]
    missed = [each for each in held if max(each) > BAR]
    print(
        f"\n{len(missed)} of {len(rows)} told off by more than {BAR:.0%} (seconds: of those of {FROM_S:g} s and more)"
    )
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
