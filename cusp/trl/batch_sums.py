"""A few numbers of each step that the trainer does not log: standard errors by prompt, means without prompt effects.

Read from the texts and rewards that TRL keeps of its last generation; no text leaves this process. They are
metrics under `cusp/`, which no rule takes for a role (docs/reference/roles.md).
"""

import math
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

from cusp.metrics import canonical_name
from cusp.trl.prompt_effects import PromptEffects
from cusp.trl.samples import text_of

MOST_FUNCTIONS = 4
LENGTH = "completion_length"


class BatchSums:
    """The sums of one trainer, with what is remembered of its prompts."""

    def __init__(self, trainer: Any) -> None:
        self._trainer = weakref.ref(trainer)  # a notebook deletes its trainer to free memory
        self._effects: dict[str, PromptEffects] = {}

    def of_step(self, logs: Mapping[str, object]) -> dict[str, float]:
        """Return the sums of the generation that `logs` are of; none if there was no generation.

        The length is the mean of the logarithm of the characters, so a difference of .1 is one of 10 %.
        """
        if LENGTH not in {canonical_name(name) for name in logs}:
            return {}
        found: dict[str, float] = {}
        prompts, quantities = kept_by(self._trainer())
        for name, values in quantities.items():
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


def kept_by(trainer: Any) -> tuple[list[int], dict[str, Sequence[float | None]]]:
    """Return the hash of the prompt of each completion of the last generation, and its quantities by name."""
    logs = getattr(trainer, "_logs", None) or getattr(trainer, "_textual_logs", None)
    if not isinstance(logs, Mapping) or not logs.get("completion"):
        return [], {}
    prompts = [hash(text_of(prompt)) for prompt in logs.get("prompt") or ()]
    texts = [text_of(completion) for completion in logs["completion"]]
    if len(prompts) != len(texts):
        return [], {}
    quantities: dict[str, Sequence[float | None]] = {
        LENGTH: [math.log(max(1, len(text))) for text in texts]
    }
    for name, values in list(dict(logs.get("rewards") or {}).items())[:MOST_FUNCTIONS]:
        if len(values) == len(texts):
            quantities[f"rewards/{name}"] = list(values)
    return prompts, quantities
