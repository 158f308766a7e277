"""The list `rewards`: what a completion is rewarded for."""

from typing import Annotated, Literal

from pydantic import Field

from trainer.recipe.sections import Amount, Count, Section

Verifier = Literal["boxed_integer", "math_verify"]


class FormatReward(Section):
    """1 if the completion closes its thought exactly once on a line of its own, else 0."""

    name: Literal["format"]
    weight: Amount


class AccuracyReward(Section):
    """1 if the final answer is right, 0 if it is wrong, none if the verifier failed."""

    name: Literal["accuracy"]
    weight: Amount
    verifier: Verifier


class CosineReward(Section):
    """Accuracy scaled by length: from the `short` value to the `long` one along half a cosine.

    `max_length` is in characters; with `clamp` a longer completion gets the `long` value, without
    it the cosine goes on (as in Tina's code).
    """

    name: Literal["cosine"]
    weight: Amount
    verifier: Verifier
    right_short: float
    right_long: float
    wrong_short: float
    wrong_long: float
    max_length: Count
    clamp: bool


Reward = Annotated[FormatReward | AccuracyReward | CosineReward, Field(discriminator="name")]
