"""What each of two ranks runs: the reward `length` of its half of one prompt's completions, as a line of JSON.

python -m torch.distributed.run --nproc-per-node=2 -m tests.e2e.rank_rewards
"""

import json
import os
import sys

from accelerate import PartialState  # type: ignore[import-untyped]

from trainer.recipe import Recipe
from trainer.recipe_loader import load_recipe
from trainer.training.distributed import exit_process
from trainer.training.rewards import reward_functions

LENGTHS = {"0": (10, 20, 30), "1": (40, 50, 60)}  # `tiny` has groups of 6

if __name__ == "__main__":
    PartialState(cpu=True)
    kind = {"name": "length", "weight": 1, "verifier": "boxed_integer", "unit": "tokens"}
    rewards = [{**kind, "over": "group", "undecided": None}]
    (length,) = reward_functions(
        Recipe.model_validate({**load_recipe("tiny").model_dump(), "rewards": rewards})
    )
    rank = os.environ["RANK"]
    values = length(
        completions=["\\boxed{7}"] * 3,
        completion_ids=[[0] * tokens for tokens in LENGTHS[rank]],
        solution=["7"] * 3,
    )
    print(f"{rank} {json.dumps(values)}\n", end="", flush=True)
    sys.exit(exit_process(0))
