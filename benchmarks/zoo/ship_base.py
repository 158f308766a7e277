"""Trains the base model of `tiny` and `tiny_healthy` anew and replaces the shipped weights.

    python -m benchmarks.zoo.ship_base

To be run after a change of the code or options that determine the weights (a test says so); a minute on one core.
The runs of the zoo are then of another base, which their index names.
"""

import torch

from trainer.recipe_loader import load_recipe
from trainer.tiny import shipped

if __name__ == "__main__":
    torch.set_num_threads(1)  # the sums of several threads are rounded otherwise
    model = load_recipe("tiny").model
    if model.kind == "tiny":
        shipped.write(model)
        shipped.FILE.chmod(0o644)
        print(f"wrote {shipped.FILE}")
