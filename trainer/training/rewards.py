"""Reward functions of a recipe, named as TRL logs them: `rewards/format_reward/mean` and so on.

Definitions are Tina's (github.com/shangshang-wang/Tina, tina/post_train_hf/rewards.py). A reward of None
(undecided by the verifier) is left out of TRL's mean, never counted as wrong.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from cusp.protocol.run import RewardSpec
from trainer.recipe import AccuracyReward, CosineReward, FormatReward, Recipe
from trainer.verifiers import Score, Verifier, make_verifier

RewardFunction = Callable[..., list[Score]]
CLOSED_THOUGHT = "\n</think>\n"


def reward_functions(recipe: Recipe) -> list[RewardFunction]:
    """Return one function for each reward of the recipe, in order; rewards share a verifier of each kind."""
    verifiers: dict[str, Verifier] = {}
    functions: list[RewardFunction] = []
    for reward in recipe.rewards:
        if isinstance(reward, FormatReward):
            functions.append(format_reward)
            continue
        if reward.verifier not in verifiers:
            verifiers[reward.verifier] = make_verifier(reward.verifier)
        verifier = verifiers[reward.verifier]
        functions.append(
            make_accuracy_reward(verifier)
            if isinstance(reward, AccuracyReward)
            else make_cosine_reward(verifier, reward)
        )
    return functions


def reward_specs(recipe: Recipe) -> dict[str, RewardSpec]:
    """Return the range of each reward by metric name."""
    return {f"{reward.name}_reward": _spec(reward) for reward in recipe.rewards}


def _spec(reward: FormatReward | AccuracyReward | CosineReward) -> RewardSpec:
    if not isinstance(reward, CosineReward):
        return RewardSpec(low=0.0, high=1.0, graded=False)
    ends = (reward.right_short, reward.right_long, reward.wrong_short, reward.wrong_long)
    return RewardSpec(low=min(ends), high=max(ends), graded=True)


def format_reward(completions: Sequence[Any], **_: Any) -> list[Score]:
    """Return 1 for each completion with exactly one `</think>` on a line of its own, else 0.

    >>> format_reward(["a\\n</think>\\nb", "a</think>b", "a\\n</think>\\n\\n</think>\\n"])
    [1.0, 0.0, 0.0]
    """
    return [float(text_of(each).count(CLOSED_THOUGHT) == 1) for each in completions]


def make_accuracy_reward(verifier: Verifier) -> RewardFunction:
    """Return `accuracy_reward`: 1 right, 0 wrong, None undecided."""

    def accuracy_reward(
        completions: Sequence[Any], solution: Sequence[str], **_: Any
    ) -> list[Score]:
        return verifier.score([text_of(each) for each in completions], solution)

    return accuracy_reward


def make_cosine_reward(verifier: Verifier, options: CosineReward) -> RewardFunction:
    """Return `cosine_reward`: accuracy scaled by length (Yeo et al., arXiv 2502.03373)."""

    def cosine_reward(completions: Sequence[Any], solution: Sequence[str], **_: Any) -> list[Score]:
        texts = [text_of(each) for each in completions]
        scores = verifier.score(texts, solution)
        return [
            None if score is None else cosine_value(len(text), score == 1.0, options)
            for text, score in zip(texts, scores, strict=True)
        ]

    return cosine_reward


def cosine_value(length: int, right: bool, options: CosineReward) -> float:
    """Return the reward of a completion of `length` characters."""
    progress = length / options.max_length
    if options.clamp:
        progress = min(1.0, progress)
    short, long = (
        (options.right_short, options.right_long)
        if right
        else (options.wrong_short, options.wrong_long)
    )
    return long + 0.5 * (short - long) * (1.0 + math.cos(math.pi * progress))


def text_of(completion: Any) -> str:
    """Return the text of a completion in TRL's plain or conversational format."""
    return completion if isinstance(completion, str) else str(completion[0]["content"])
