"""A real TRL GRPO training of the embedded model, with and without `CuspCallback`, in turn.

Each pair of trainings does the same work: same seeds, same steps. Prints one JSON line: the seconds of
every step of both, and what the callback took in the training's thread and in Cusp's own.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import threading
import time
from pathlib import Path

from transformers import TrainerCallback

import cusp
from trainer.recipe_loader import load_recipe
from trainer.train import train

HOOKS = ("on_step_end", "on_log", "on_save")


class Clock(TrainerCallback):  # type: ignore[misc]
    """Notes when each step begins and ends."""

    def __init__(self) -> None:
        self.began = self.cpu = 0.0
        self.seconds: list[float] = []

    def on_train_begin(
        self, args: object, state: object, control: object, **kwargs: object
    ) -> None:
        self.cpu = time.process_time()

    def on_step_begin(self, args: object, state: object, control: object, **kwargs: object) -> None:
        now = time.perf_counter()
        if self.began:  # from beginning to beginning: logging and saving lie between
            self.seconds.append(now - self.began)
        self.began = now

    def on_train_end(self, args: object, state: object, control: object, **kwargs: object) -> None:
        self.cpu = time.process_time() - self.cpu


class Timed(cusp.CuspCallback):
    """`CuspCallback`, noting what its hooks take."""

    def __init__(self) -> None:
        super().__init__(project="bench", name="overhead")
        self.took: list[float] = []
        self.threads_s = 0.0

    def on_train_end(self, args: object, state: object, control: object, **kwargs: object) -> None:
        for thread in threading.enumerate():
            if thread.name.startswith("cusp-") and thread.ident is not None:
                clock = time.pthread_getcpuclockid(thread.ident)
                self.threads_s += time.clock_gettime(clock)
        super().on_train_end(args, state, control, **kwargs)


def timed(name: str) -> None:
    """Make one hook note its time."""
    hook = getattr(cusp.CuspCallback, name)

    def noted(self: Timed, *args: object, **kwargs: object) -> None:
        began = time.perf_counter()
        hook(self, *args, **kwargs)
        self.took.append(time.perf_counter() - began)

    setattr(Timed, name, noted)


def main() -> None:
    """Train in pairs and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    given = parser.parse_args()
    for name in HOOKS:
        timed(name)
    pairs = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(CUSP_URL=given.url, CUSP_DIR=folder)
        for number in range(-1, given.rounds):  # the first pair makes the base model and warms up
            pair, order = {}, [False, True]
            random.Random(number).shuffle(order)
            for watched in order:
                clock, ours = Clock(), Timed()
                changes = {"grpo.max_steps": given.steps, "grpo.save_steps": 10_000}
                changes |= {"model.sft_steps": 300, "seed": max(0, number)}
                recipe = load_recipe("tiny", [f"{key}={value}" for key, value in changes.items()])
                callbacks = [clock, ours] if watched else [clock]
                train(
                    recipe, Path(folder, f"{number}{watched}"), progress=quiet, callbacks=callbacks
                )
                found = {"seconds": clock.seconds[2:], "cpu_s": clock.cpu}
                if watched:
                    found |= {"callback_s": sum(ours.took), "threads_s": ours.threads_s}
                pair["with" if watched else "without"] = found
            if number >= 0:
                pairs.append(pair)
            print(f"pair {number + 1} of {given.rounds}", file=sys.stderr, flush=True)
    print("\n" + json.dumps({"pairs": pairs, "steps": given.steps}))


def quiet(text: str) -> None:
    """Say nothing."""


if __name__ == "__main__":
    main()
