"""Formulas of the rewards that mix correctness and length. Pure; a length is in the unit of its options."""

import math
from collections.abc import Sequence

from trainer.recipe import CosineReward, L1ExactReward, L1MaxReward


def cosine_value(length: int, right: bool, options: CosineReward) -> float:
    """Return a completion's reward: half a cosine from the short to the long value (arXiv 2502.03373)."""
    progress = length / options.max_length
    if options.clamp:
        progress = min(1.0, progress)
    short, long = (
        (options.right_short, options.right_long)
        if right
        else (options.wrong_short, options.wrong_long)
    )
    return long + 0.5 * (short - long) * (1.0 + math.cos(math.pi * progress))


def kimi_value(length: int, among: Sequence[int], right: bool) -> float:
    """Return .5 for the shortest of the lengths `among` to -.5 for the longest, at most 0 if wrong.

    0 if all are as long. Kimi k1.5, arXiv 2501.12599, section 2.3.3.

    >>> [kimi_value(length, [10, 20, 30], True) for length in (10, 20, 30)], kimi_value(10, [10, 30], False)
    ([0.5, 0.0, -0.5], 0.0)
    """
    shortest, longest = min(among), max(among)
    if shortest == longest:
        return 0.0
    place = 0.5 - (length - shortest) / (longest - shortest)
    return place if right else min(0.0, place)


def l1_value(length: int, target: int, right: bool, options: L1ExactReward | L1MaxReward) -> float:
    """Return a completion's reward for its distance from the target length (L1, arXiv 2503.04697)."""
    if isinstance(options, L1ExactReward):
        return float(right) - options.alpha * abs(length - target)
    return min(1.0, max(0.0, options.alpha * (target - length) + options.delta)) * right
