"""The range of each reward, which the detector is told."""

from cusp.protocol.run import RewardSpec
from trainer.recipe import (
    AccuracyReward,
    CosineReward,
    FormatReward,
    L1ExactReward,
    LengthReward,
    Recipe,
    RepetitionPenaltyReward,
)
from trainer.recipe.reward_kinds import Reward


def reward_specs(recipe: Recipe) -> dict[str, RewardSpec]:
    """Return the range of each reward that has one by metric name; `l1_exact` has no lower end."""
    return {
        f"{reward.name}_reward": _spec(reward)
        for reward in recipe.rewards
        if not isinstance(reward, L1ExactReward)
    }


def _spec(reward: Reward) -> RewardSpec:
    low, high = _ends(reward)
    graded = not isinstance(reward, FormatReward | AccuracyReward)
    return RewardSpec(low=low, high=high, graded=graded)


def _ends(reward: Reward) -> tuple[float, float]:
    if isinstance(reward, CosineReward):
        ends = [reward.right_short, reward.right_long, reward.wrong_short, reward.wrong_long]
        ends += [] if reward.undecided is None else [reward.undecided]
        return min(ends), max(ends)
    if isinstance(reward, LengthReward):
        return -0.5, 0.5
    if isinstance(reward, RepetitionPenaltyReward):
        return reward.max_penalty, 0.0
    return 0.0, 1.0
