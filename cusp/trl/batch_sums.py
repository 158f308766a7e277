"""A few numbers of each step that the trainer does not log: standard errors by prompt, means without prompt effects.

Read from the texts and rewards that TRL keeps of its last generation; no text leaves this process. They are
metrics under `cusp/`, which no rule takes for a role (docs/reference/roles.md).
"""

import math
from collections.abc import Mapping, Sequence
from itertools import islice

from cusp.metrics import canonical_name
from cusp.trl.prompt_effects import PromptEffects
from cusp.trl.samples import Generation, text_of

MOST_FUNCTIONS = 4
LENGTH = "completion_length"


class BatchSums:
    """The sums of one training, with what is remembered of its prompts."""

    def __init__(self) -> None:
        self._effects: dict[str, PromptEffects] = {}

    def of_step(self, logs: Mapping[str, object], generation: Generation) -> dict[str, float]:
        """Return the sums of the generation that `logs` are of; none if there was no generation.

        The length is the mean of the logarithm of the characters, so a difference of .1 is one of 10 %.
        """
        if LENGTH not in {canonical_name(name) for name in logs}:
            return {}
        found: dict[str, float] = {}
        prompts = [hash(text_of(prompt)) for prompt in generation.prompts]
        for name, values in quantities(generation).items():
            groups: dict[int, list[float]] = {}
            for prompt, value in zip(prompts, values, strict=True):
                if value is not None and math.isfinite(value):
                    groups.setdefault(prompt, []).append(value)
            level = self._effects.setdefault(name, PromptEffects()).level(groups)
            if level is not None:
                found[f"cusp/{name}/adjusted"] = level.adjusted
                found[f"cusp/{name}/adjusted_sem"] = level.adjusted_sem
                found[f"cusp/{name}/sem"] = level.sem
        return found


def quantities(generation: Generation) -> dict[str, Sequence[float | None]]:
    """Return the values of each completion by quantity: the logarithm of its length, and its rewards."""
    if not generation.completions or len(generation.completions) != len(generation.prompts):
        return {}
    lengths = [math.log(max(1, len(text_of(one)))) for one in generation.completions]
    rewards = islice(generation.rewards.items(), MOST_FUNCTIONS)
    return {LENGTH: lengths, **{f"rewards/{name}": values for name, values in rewards}}
