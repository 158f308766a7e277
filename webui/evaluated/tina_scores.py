"""Scores that Tina published, as data: arXiv 2504.15777 and the tables of its repository (shangshang-wang/Tina).

One sample a problem, temperature 0.6, top-p 0.95, at most 32,768 new tokens, judged by lighteval (commit ed084813),
no system prompt. Each row is the best of the checkpoints that were scored on these same tasks, so it lies above what a
new set of problems would show. Base and full-parameter models were scored anew by Tina in the same way.
"""

from collections.abc import Mapping
from typing import NamedTuple

SOURCE = "arXiv 2504.15777"
PRESET = "lighteval"
PROBLEMS: Mapping[str, int] = {
    "aime24": 30,
    "aime25": 30,
    "amc23": 40,
    "math500": 500,
    "gpqa_diamond": 198,
    "minerva": 272,
}
"""Problems of each task, in the order of the paper's tables; the keys are Cusp's names of the tasks."""


class Published(NamedTuple):
    """One row of a table: the model, its scores in percent in the order of PROBLEMS, where it was best."""

    model: str
    percent: tuple[float, float, float, float, float, float]
    best_at: str = ""

    @property
    def shares(self) -> dict[str, float]:
        """pass@1 as a fraction by task."""
        return {task: value / 100 for task, value in zip(PROBLEMS, self.percent, strict=True)}


BASE = Published("DeepSeek-R1-Distill-Qwen-1.5B", (23.33, 16.67, 62.50, 82.60, 31.82, 30.15))

BY_RECIPE: Mapping[str, Published] = {
    "still": Published("Tina-STILL-3", (36.67, 30.00, 77.50, 84.60, 33.33, 26.84), "53 %"),
    "deepscaler": Published("Tina-DeepScaleR", (43.33, 26.67, 67.50, 86.20, 37.88, 28.68), "19 %"),
    "open-rs1": Published("Tina-Open-RS1", (43.33, 20.00, 80.00, 84.00, 35.35, 28.68), "34 %"),
    "open-rs2": Published("Tina-Open-RS2", (43.33, 26.67, 77.50, 87.00, 36.36, 32.72), "51 %"),
    "open-rs3": Published("Tina-Open-RS3", (36.67, 23.33, 82.50, 85.20, 37.37, 31.62), "57 %"),
    "open-rs3-drgrpo": Published(
        "Tina-Open-RS3-DrGRPO", (43.33, 23.33, 80.00, 85.00, 35.35, 30.15), "17 %"
    ),
    "open-r1": Published("Tina-OpenR1", (36.67, 26.67, 75.00, 86.80, 39.90, 30.51), "13 %"),
    "thoughts": Published("Tina-OpenThoughts", (36.67, 26.67, 72.50, 84.80, 41.41, 33.09), "30 %"),
    "limr": Published("Tina-LIMR", (46.67, 20.00, 75.00, 83.80, 34.85, 30.51), "58 %"),
    "limr-large-lr": Published(
        "Tina-LIMR, learning rate 5e-6", (36.67, 26.67, 75.00, 83.60, 35.86, 29.41), "29 %"
    ),
    "limr-small-lr": Published(
        "Tina-LIMR, learning rate 5e-7", (43.33, 16.67, 77.50, 84.60, 34.85, 30.51), "58 %"
    ),
    "limr-large-rank": Published(
        "Tina-LIMR, rank 64 (128 in its repository)",
        (20.00, 30.00, 77.50, 84.20, 38.38, 31.62),
        "29 %",
    ),
    "limr-medium-rank": Published(
        "Tina-LIMR, rank 16", (43.33, 33.33, 70.00, 83.20, 35.35, 28.31), "58 %"
    ),
    "limr-small-rank": Published(
        "Tina-LIMR, rank 8", (30.00, 26.67, 82.50, 83.80, 33.84, 30.51), "29 %"
    ),
    "limr-tiny-rank": Published(
        "Tina-LIMR, rank 4", (36.67, 20.00, 85.00, 83.80, 31.82, 29.04), "86 %"
    ),
}
"""The published row of each recipe, by the recipe's own name of the run (`run.name` in trainer/recipes/tina)."""
