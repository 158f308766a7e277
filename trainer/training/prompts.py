"""Prompts of a training: the id of a problem, the length it asks for, and what happens to a long one."""

import hashlib
import random
from collections.abc import Mapping, Sequence
from typing import Any

from trainer.recipe import TargetLength

Messages = Sequence[Mapping[str, str]]

THINK = "\nThink for {} tokens."
"""Tina's words (tina/post_train_hf/preprocess.py), at the end of the system prompt."""


def problem_id(problem: str, solution: str) -> str:
    """Return an id that a problem keeps whatever its place: 16 hexadecimal digits of a hash of its text.

    >>> problem_id("1+1", "2")
    '243b2565ac30d8b5'
    """
    return hashlib.sha256(f"{problem}\0{solution}".encode()).hexdigest()[:16]


def target_length(options: TargetLength, problem: str) -> int:
    """Return the length that a problem asks for, in tokens: uniform, drawn by the seed and the problem's id.

    >>> options = TargetLength(low=100, high=4000, seed=0)
    >>> target_length(options, "a") == target_length(options, "a") != target_length(options, "b")
    True
    """
    return random.Random(f"{options.seed}/{problem}").randint(options.low, options.high)


def asking_for(length: int, system_prompt: str | None) -> str:
    """Return the system prompt that also asks for a length.

    >>> asking_for(100, "Think.")
    'Think.\\nThink for 100 tokens.'
    """
    return f"{system_prompt or ''}{THINK.format(length)}".lstrip("\n" if not system_prompt else "")


def tokens_of(messages: Messages, tokenizer: Any) -> int:
    """Return how many tokens a conversation has as a prompt."""
    text = tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)
    return len(tokenizer(text, add_special_tokens=False)["input_ids"])


def cut_left(messages: Messages, limit: int, tokenizer: Any) -> list[dict[str, str]] | None:
    """Return the conversation with tokens taken from the beginning of its texts until `limit` holds.

    The first message loses its beginning first, then the next one. Roles and special tokens stay, where
    Tina cut the whole sequence on the left, so that a prompt lost its first ones too. None if even empty
    messages are too long.
    """
    kept = [dict(message) for message in messages]
    for message in kept:
        over = tokens_of(kept, tokenizer) - limit
        if over <= 0:
            return kept
        ids = tokenizer(message["content"], add_special_tokens=False)["input_ids"]

        def fits(drop: int, message: dict[str, str] = message, ids: list[int] = ids) -> bool:
            message["content"] = tokenizer.decode(ids[drop:])
            return tokens_of(kept, tokenizer) <= limit

        # One token may become two where the text begins anew, so the drop is searched from below.
        if any(fits(drop) for drop in range(min(over, len(ids)), len(ids) + 1)):
            return kept
    return None


def fitted(
    messages: Messages, limit: int | None, how: str, tokenizer: Any
) -> list[dict[str, str]] | None:
    """Return the prompt as it is trained on; None if it is to be left out as too long."""
    plain = [dict(message) for message in messages]
    if limit is None or tokens_of(plain, tokenizer) <= limit:
        return plain
    return cut_left(plain, limit, tokenizer) if how == "cut_left" else None
