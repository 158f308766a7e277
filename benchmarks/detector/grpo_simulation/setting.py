"""What does not change while a simulated run trains: its batch, its problems, its reward functions.

Ranges follow public recipes (TRL, Unsloth, Tina, open-r1): 2 prompts x 4 completions up to 32 x 8, token
limits 2 to 5 times the mean length, training sets from 48 problems (epochs of a few steps) to 7,000.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Array = NDArray[np.float64]
BATCHES = ((2, 4), (4, 4), (8, 4), (8, 6), (8, 8), (16, 8), (32, 8))  # prompts a step x completions
PROBLEMS = (48, 200, 1000, 7000)
LENGTHS = (200.0, 600.0, 1500.0, 3000.0)  # tokens of the base model's mean answer
HELD_OUT = 300  # problems


@dataclass(frozen=True)
class Problems:
    """Latent traits of problems: difficulty (logit), log length and format logit against the mean."""

    difficulty: Array
    length: Array
    format: Array

    def __len__(self) -> int:
        return len(self.difficulty)


@dataclass(frozen=True)
class Setting:
    """The fixed part of a run. Spreads `*_sd` are between problems, `within_sd` between completions of one.

    `*_levels` is the number of equal parts of a reward (1: binary); `strict`: an answer counts only
    where the format is right, as rewards do that read it out of the tags.
    """

    prompts: int
    group: int
    limit: float
    problems: int
    difficulty_sd: float
    length_sd: float
    within_sd: float
    format_sd: float
    format_levels: int
    accuracy_levels: int
    strict: bool
    format_logged: bool
    accuracy_weight: float
    warmup: float

    @property
    def completions(self) -> int:
        """Completions of one step."""
        return self.prompts * self.group


def drawn_setting(rng: np.random.Generator) -> Setting:
    """Return a random setting; its limit is in units of the mean length (see kinds.py)."""
    prompts, group = BATCHES[rng.integers(len(BATCHES))]
    return Setting(
        prompts=prompts,
        group=group,
        limit=float(rng.uniform(2.5, 5)),
        problems=int(rng.choice(PROBLEMS)),
        difficulty_sd=float(rng.uniform(0.8, 2.0)),
        length_sd=float(rng.uniform(0.15, 0.4)),
        within_sd=float(rng.uniform(0.25, 0.45)),
        format_sd=float(rng.uniform(0.2, 0.8)),
        format_levels=4 if rng.random() < 0.3 else 1,  # open-r1's tag count has four parts
        accuracy_levels=5 if rng.random() < 0.2 else 1,
        strict=bool(rng.random() < 0.3),
        format_logged=True,
        accuracy_weight=float(rng.choice([1.0, 2.0])),  # Tina RS2: accuracy x 2
        warmup=float(rng.uniform(0.03, 0.1)),
    )


def drawn_problems(rng: np.random.Generator, setting: Setting, count: int) -> Problems:
    """Return `count` problems; each trait is stratified, so that small sets have the population's mean.

    Harder problems have longer answers and are formatted a little worse (correlations .5 and -.3).
    """
    a, b, c = (ndtri((rng.permutation(count) + 0.5) / count) for _ in range(3))
    return Problems(
        setting.difficulty_sd * a,
        setting.length_sd * (0.5 * a + math.sqrt(0.75) * b),
        setting.format_sd * (-0.3 * a + math.sqrt(0.91) * c),
    )


def visits(rng: np.random.Generator, problems: int, steps: int, prompts: int) -> NDArray[np.intp]:
    """Return the problems of each step, shape (steps, prompts): shuffled epochs, one after another."""
    epochs = -(-steps * prompts // problems)
    order = np.concatenate([rng.permutation(problems) for _ in range(epochs)])
    return order[: steps * prompts].reshape(steps, prompts)
