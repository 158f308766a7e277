"""Samples a few completions of each logged step from the logs that TRL keeps of its last generation."""

import weakref
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from cusp.run import Run

MOST_A_STEP = 8
USUAL = 2
# Characters sent of the beginning and of the end of a text, where the answer is.
HEAD, TAIL = 3_000, 1_000
# Bounds a run's samples: from every point at first, later from one point of ten.
ALL_OF_FIRST_POINTS, THEN_ONE_OF = 500, 10


class Sampler:
    """Sends up to `most` completions of a logged step with their rewards."""

    def __init__(self, trainer: Any, most: int) -> None:
        self._trainer = weakref.ref(
            trainer
        )  # a weak reference: a notebook deletes its trainer to free memory
        self._most = most
        self._points = 0

    def send(self, run: Run, step: int) -> None:
        """Send samples of the step just logged, unless this point is skipped."""
        self._points += 1
        over = self._points - ALL_OF_FIRST_POINTS
        if self._most and (over <= 0 or over % THEN_ONE_OF == 0):
            for prompt, completion, rewards in kept_by(self._trainer(), self._most):
                run.sample(step, prompt, completion, rewards)


def kept_by(trainer: Any, most: int) -> list[tuple[str, str, dict[str, float]]]:
    """Return up to `most` (prompt, completion, rewards) of the last generation, spread over its prompts.

    An empty list if the trainer keeps none.
    """
    logs = getattr(trainer, "_logs", None) or getattr(trainer, "_textual_logs", None)
    if not isinstance(logs, Mapping) or not logs.get("completion") or "prompt" not in logs:
        return []
    prompts, completions = logs["prompt"], logs["completion"]
    count = min(len(prompts), len(completions))
    places = sorted({count * one // most for one in range(min(most, count))})
    rewards = {
        str(name): values
        for name, values in islice(dict(logs.get("rewards") or {}).items(), 64)
        if len(values) == len(completions)
    }
    return [
        (
            shortened(text_of(prompts[place])),
            shortened(text_of(completions[place])),
            {name: values[place] for name, values in rewards.items()},
        )
        for place in places
    ]


def text_of(content: Any) -> str:
    """Return the text of a prompt or completion: plain, or messages, or messages of parts.

    >>> text_of([{"role": "user", "content": "2 + 2?"}])
    '2 + 2?'
    >>> text_of([{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What?"}]}])
    'What?'
    """
    if isinstance(content, str):
        return content
    if isinstance(content, Mapping):
        return text_of(content.get("content") or content.get("text") or "")
    if isinstance(content, Sequence):
        return "\n".join(text for text in map(text_of, content) if text)
    return ""


def shortened(text: str) -> str:
    """Return the text, or its beginning and end with the number of characters left out between them.

    >>> len(shortened("x" * 100_000))
    4030
    """
    left_out = len(text) - HEAD - TAIL
    if left_out <= 40:
        return text
    return f"{text[:HEAD]}\n[{left_out:,} characters left out]\n{text[-TAIL:]}"
