"""Rewards that need to know whether the answer is right: accuracy, cosine, length, L1.

A comparison that failed gives None. A gold that cannot be read gives None too, or what the option
`undecided` says. Each logs `verifier_failures`: 1 for a completion that was not decided, else 0.
"""

from collections.abc import Iterable

from trainer.judging import Outcome
from trainer.recipe import CosineReward, L1ExactReward, L1MaxReward, LengthReward
from trainer.training.rewards.completions import Completions, RewardError, Values
from trainer.training.rewards.length_rewards import cosine_value, kimi_value, l1_value
from trainer.verifiers import Score, Verifier, scores_of

FAILURES = "verifier_failures"


def accuracy(verifier: Verifier) -> Values:
    """Return the reward 1 right, 0 wrong, None undecided."""
    return lambda completions: scores_of(_verified(verifier, completions))


def cosine(verifier: Verifier, options: CosineReward) -> Values:
    """Return the reward of accuracy scaled by length."""

    undecided: dict[Outcome, Score] = {"no gold": options.undecided, "failed": None}

    def values(completions: Completions) -> list[Score]:
        outcomes = _verified(verifier, completions)
        return [
            undecided[outcome]
            if outcome in undecided
            else cosine_value(length, outcome == "right", options)
            for length, outcome in zip(completions.lengths(options.unit), outcomes, strict=True)
        ]

    return values


def length(verifier: Verifier, options: LengthReward, group: int) -> Values:
    """Return the reward for being short among the completions of a prompt, or of this process."""

    def values(completions: Completions) -> list[Score]:
        right = _right(_verified(verifier, completions), options.undecided)
        lengths = completions.lengths(options.unit)
        by_group = options.over == "group"
        among = completions.of_prompt(lengths, group) if by_group else [lengths] * len(lengths)
        return [
            None if good is None else kimi_value(own, others, good)
            for own, others, good in zip(lengths, among, right, strict=True)
        ]

    return values


def l1(verifier: Verifier, options: L1ExactReward | L1MaxReward, group: int) -> Values:
    """Return the reward for hitting the target length, or staying below it."""

    def values(completions: Completions) -> list[Score]:
        right = _right(_verified(verifier, completions), options.undecided)
        lengths = completions.lengths(options.unit)
        found: list[Score] = [
            None if good is None else l1_value(own, target, good, options)
            for own, target, good in zip(
                lengths, _targets(completions, options.target_length), right, strict=True
            )
        ]
        if not options.zero_if_equal:
            return found
        equal = [len(set(others)) == 1 for others in completions.of_prompt(lengths, group)]
        return [
            0.0 if all_equal and value is not None else value
            for all_equal, value in zip(equal, found, strict=True)
        ]

    return values


def _verified(verifier: Verifier, completions: Completions) -> list[Outcome]:
    outcomes = verifier.outcomes(completions.texts, completions.column("solution"))
    for outcome in outcomes:  # one value each: TRL's mean is then that of all ranks' completions
        completions.log_metric(FAILURES, float(outcome not in ("right", "wrong")))
    return outcomes


def _right(outcomes: Iterable[Outcome], undecided: str | None) -> list[bool | None]:
    """Return whether each answer is right, None for what is undecided."""
    known: dict[Outcome, bool] = {"right": True, "wrong": False}
    if undecided == "right":
        known["no gold"] = True
    return [known.get(outcome) for outcome in outcomes]


def _targets(completions: Completions, usual: int | None) -> list[int]:
    count = len(completions.texts)
    column = completions.columns.get("target_length") or [None] * count
    targets = [usual if target is None else int(target) for target in column]
    found = [target for target in targets if target is not None]
    if len(found) < count:
        raise RewardError(
            "the training data has no target_length for each problem, which the L1 rewards need;"
            " add the column, or set rewards.l1_exact.target_length or rewards.l1_max.target_length"
        )
    return found
