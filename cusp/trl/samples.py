"""The last generation that TRL's trainers keep in their logs, and samples of it: a few completions of a logged step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from cusp.run import Run

MOST_A_STEP = 8
USUAL = 2
MOST_FUNCTIONS = 64  # reward functions whose values are taken
# Characters sent of the beginning and of the end of a text, where the answer is.
HEAD, TAIL = 3_000, 1_000
# Bounds a run's samples: from every point at first, later from one point of ten.
ALL_OF_FIRST_POINTS, THEN_ONE_OF = 500, 10


@dataclass(frozen=True)
class Generation:
    """Prompts, completions and rewards by function, in lists of their own: another thread can read them."""

    prompts: Sequence[Any] = ()
    completions: Sequence[Any] = ()
    rewards: Mapping[str, Sequence[float | None]] = field(default_factory=dict)


def generation_of(trainer: Any) -> Generation:
    """Return what the trainer keeps of its last generation; an empty one if it keeps none."""
    logs = getattr(trainer, "_logs", None) or getattr(trainer, "_textual_logs", None)
    if not isinstance(logs, Mapping) or not logs.get("completion") or "prompt" not in logs:
        return Generation()
    prompts, completions = list(logs["prompt"]), list(logs["completion"])
    given = islice(dict(logs.get("rewards") or {}).items(), MOST_FUNCTIONS)
    rewards = {str(name): list(v) for name, v in given if len(v) == len(completions)}
    return Generation(prompts, completions, rewards)


class Sampler:
    """Sends up to `most` completions of a logged step with their rewards."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._points = 0

    def send(self, run: Run, step: int, generation: Generation) -> None:
        """Send samples of the step just logged, unless this point is skipped."""
        self._points += 1
        over = self._points - ALL_OF_FIRST_POINTS
        if self._most and (over <= 0 or over % THEN_ONE_OF == 0):
            for prompt, completion, rewards in sampled(generation, self._most):
                run.sample(step, prompt, completion, rewards)


def sampled(generation: Generation, most: int) -> list[tuple[str, str, dict[str, float | None]]]:
    """Return up to `most` (prompt, completion, rewards) of a generation, spread over its prompts."""
    count = min(len(generation.prompts), len(generation.completions))
    places = sorted({count * one // most for one in range(min(most, count))})
    return [
        (
            shortened(text_of(generation.prompts[place])),
            shortened(text_of(generation.completions[place])),
            {name: values[place] for name, values in generation.rewards.items()},
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
