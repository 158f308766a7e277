"""What every engine is asked for and answers: requests in, completions out as they finish."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cusp.errors import CuspError
from trainer.recipe import Sampling


@dataclass(frozen=True)
class Request:
    """One completion to generate: the rendered prompt, and the seed of its sampling."""

    prompt: str
    seed: int


@dataclass(frozen=True)
class Completion:
    """One generated completion; `finish_reason` is `stop` or `length`, `tokens` counts the end token.

    `token_ids` are the tokens, the end token included; empty where a server does not name them.
    """

    text: str
    tokens: int
    finish_reason: str
    token_ids: tuple[int, ...] = ()


Finished = list[tuple[int, Completion]]
"""Completions that finished together, each with the place of its request."""

Draw = Callable[[Sequence[Request], Sampling], Iterator[Finished]]
"""Generates the completions of one model: each request once, in any order, at most together with others."""


class EngineError(CuspError, RuntimeError):
    """The engine cannot be started, or has ended; the message gives its reason and the way out."""


class Engine(Protocol):
    """Generates with a base model and, swapped between calls, its adapters, for as long as it lives."""

    @property
    def tokenizer(self) -> Any:
        """The base model's tokenizer, whose chat template renders the prompts."""

    def completions(
        self, adapter: Path | None, requests: Sequence[Request], sampling: Sampling
    ) -> Iterator[Finished]:
        """Yield the completions of the base model with the adapter in a folder, or (None) without.

        AdapterError, before anything is generated, for an adapter that does not fit the base model; EngineError
        when the engine cannot go on. To close the iterator early abandons what is not finished.
        """

    def close(self) -> None:
        """End the engine and free its memory."""


def sample_seed(seed: int, task: str, problem_id: str, sample: int) -> int:
    """Return the seed of one sample: 48 bits (exact in JSON), a hash of the arguments."""
    text = f"{seed}/{task}/{problem_id}/{sample}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")


def completion_of(ids: Sequence[int], finish_reason: str, tokenizer: Any) -> Completion:
    """Return the completion of these tokens: `length` unless an end token came."""
    text = tokenizer.decode(list(ids), skip_special_tokens=True)
    reason = "length" if finish_reason == "length" else "stop"
    return Completion(text, len(ids), reason, tuple(ids))


def end_ids(generation_config: Any, tokenizer: Any) -> set[int]:
    """Return the tokens that end a completion: the generation configuration's, and the tokenizer's."""
    ends = generation_config.eos_token_id
    found = ends if isinstance(ends, list) else [ends]
    return {each for each in (*found, tokenizer.eos_token_id) if each is not None}


def prompt_ids(requests: Sequence[Request], tokenizer: Any) -> list[list[int]]:
    """Return the tokens of the prompts, without any that the chat template has not."""
    return [tokenizer(each.prompt, add_special_tokens=False)["input_ids"] for each in requests]
