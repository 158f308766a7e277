"""One reward function for each reward of a recipe, as TRL calls them."""

import functools
from collections.abc import Callable, Collection, Sequence
from typing import Any

from trainer.recipe import (
    AccuracyReward,
    CosineReward,
    FormatReward,
    L1ExactReward,
    L1MaxReward,
    LengthReward,
    ReasoningStepsReward,
    Recipe,
    RepetitionPenaltyReward,
    TagCountReward,
)
from trainer.training.rewards import verified_rewards
from trainer.training.rewards.completions import Completions, Values
from trainer.training.rewards.text_rewards import (
    format_value,
    reasoning_steps_value,
    repetition_value,
    tag_count_value,
    words_of_text,
)
from trainer.verifiers import USUAL, Score, Verifier, make_verifiers

RewardFunction = Callable[..., list[Score]]
GIVEN_TERMINATED = "format_given_terminated"
_UNVERIFIED = FormatReward | TagCountReward | ReasoningStepsReward | RepetitionPenaltyReward


def reward_functions(recipe: Recipe, tokenizer: Any = None) -> list[RewardFunction]:
    """Return one function for each reward of the recipe, in order; rewards share a verifier of each kind.

    The first one also logs `format_given_terminated`. The tokenizer tells the ids that end a completion.
    """
    verified = [reward for reward in recipe.rewards if not isinstance(reward, _UNVERIFIED)]
    verifiers = make_verifiers((reward.verifier for reward in verified), USUAL)
    group = recipe.grpo.num_generations
    values = [
        _of_text(reward)
        if isinstance(reward, _UNVERIFIED)
        else _verified(reward, verifiers[reward.verifier], group)
        for reward in recipe.rewards
    ]
    ends = {tokenizer.eos_token_id, tokenizer.pad_token_id} if tokenizer is not None else set()
    values[0] = _with_format_given_terminated(values[0], ends, recipe.grpo.max_completion_length)
    return [
        _named(f"{reward.name}_reward", each)
        for reward, each in zip(recipe.rewards, values, strict=True)
    ]


def _named(name: str, values: Values) -> RewardFunction:
    def function(completions: Sequence[Any], **given: Any) -> list[Score]:
        return values(Completions.of_call(completions, **given))

    function.__name__ = function.__qualname__ = name
    return function


def _verified(
    reward: AccuracyReward | CosineReward | LengthReward | L1ExactReward | L1MaxReward,
    verifier: Verifier,
    group: int,
) -> Values:
    if isinstance(reward, AccuracyReward):
        return verified_rewards.accuracy(verifier)
    if isinstance(reward, CosineReward):
        return verified_rewards.cosine(verifier, reward)
    if isinstance(reward, LengthReward):
        return verified_rewards.length(verifier, reward, group)
    return verified_rewards.l1(verifier, reward, group)


def _of_text(reward: _UNVERIFIED) -> Values:
    if isinstance(reward, RepetitionPenaltyReward):
        return functools.partial(_repetition, reward)
    value: Callable[[str], float] = format_value
    if isinstance(reward, TagCountReward):
        value = functools.partial(tag_count_value, ordered=reward.ordered)
    elif isinstance(reward, ReasoningStepsReward):
        value = functools.partial(reasoning_steps_value, steps=reward.steps, by_line=reward.by_line)
    return lambda completions: [value(text) for text in completions.texts]


def _repetition(reward: RepetitionPenaltyReward, completions: Completions) -> list[Score]:
    words = reward.unit == "words"
    items = map(words_of_text, completions.texts) if words else completions.token_ids()
    return [repetition_value(each, reward.ngram_size, reward.max_penalty) for each in items]


def _with_format_given_terminated(values: Values, ends: Collection[int], most: int) -> Values:
    """Return the reward, that also logs the format of each completion which was not cut at `most` tokens.

    One value each, so that TRL's mean is that of all ranks' completions; none if all were cut.
    """

    def measured(completions: Completions) -> list[Score]:
        for text, ids in zip(completions.texts, completions.ids or (), strict=False):
            if len(ids) < most or ids[-1] in ends:
                completions.log_metric(GIVEN_TERMINATED, format_value(text))
        return values(completions)

    return measured
