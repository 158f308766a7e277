"""Held-out scores of the generated log's checkpoints."""

import csv
from pathlib import Path

import numpy as np

from monitor.replay.readers.checkpoint_scores import CheckpointScores

SAVED = range(5, 261, 5)
PROBLEMS = tuple(f"p{number}" for number in range(128))


def scores(level: dict[int, float], seed: int = 1, problems: int = 128) -> CheckpointScores:
    """Return 0/1 scores; `level` is the share of problems that a checkpoint solves.

    A harder problem is solved by fewer checkpoints, so the scores are paired.
    """
    rng = np.random.default_rng(seed)
    hardness = rng.permutation(np.linspace(0, 1, problems))
    found = {
        step: tuple(float(level[step] + rng.normal(0, 0.05) > one) for one in hardness)
        for step in level
    }
    return CheckpointScores(PROBLEMS[:problems], found)


def falling(at: int, before: float = 0.7, after: float = 0.3) -> dict[int, float]:
    """Return the level of each saved checkpoint of a run that loses accuracy after step `at`."""
    return {step: before if step <= at else after for step in SAVED}


def write_scores(file: Path, held_out: CheckpointScores) -> Path:
    """Write a CSV as `cusp replay --held-out` reads it."""
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["step", "problem", "score"])
        for step, row in held_out.scores.items():
            writer.writerows(
                (step, problem, score)
                for problem, score in zip(held_out.problems, row, strict=True)
                if score is not None
            )
    return file
