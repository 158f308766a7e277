"""Reward functions of a recipe, named as TRL logs them: `rewards/format_reward/mean` and so on.

Definitions are Tina's (github.com/shangshang-wang/Tina, tina/post_train_hf/rewards.py), with options that
repair them (`trainer/recipe/reward_kinds.py`). A reward of None (undecided by the verifier) is left out of
TRL's mean, never counted as wrong.
"""

from trainer.training.rewards.completions import Completions, RewardError, text_of
from trainer.training.rewards.functions import RewardFunction, reward_functions
from trainer.training.rewards.specs import reward_specs

__all__ = [
    "Completions",
    "RewardError",
    "RewardFunction",
    "reward_functions",
    "reward_specs",
    "text_of",
]
