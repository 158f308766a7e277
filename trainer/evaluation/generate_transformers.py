"""Generates completions with transformers, in batches, on the available device.

Each sample has its own seed: a token is the arg max of log-probability plus Gumbel noise drawn from that seed
(the Gumbel-max trick, exact sampling). So a sample does not depend on the others in its batch, and two
checkpoints are compared on the same noise (common random numbers).
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    TemperatureLogitsWarper,
    TopPLogitsWarper,
)

from trainer.evaluation.adapters import AdapterError, loaded
from trainer.recipe import Sampling

__all__ = ["AdapterError", "Completion", "Request", "generate", "sample_seed", "with_adapter"]


@dataclass(frozen=True)
class Request:
    """One completion to generate."""

    prompt: str
    seed: int


@dataclass(frozen=True)
class Completion:
    """One generated completion; `finish_reason` is `stop` or `length`, `tokens` counts the end token."""

    text: str
    tokens: int
    finish_reason: str


def sample_seed(seed: int, task: str, problem_id: str, sample: int) -> int:
    """Return the seed of one sample: 48 bits (exact in JSON), a hash of the arguments."""
    text = f"{seed}/{task}/{problem_id}/{sample}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")


def with_adapter(base: Any, path: Path, base_id: str | None = None) -> Any:
    """Return a copy of `base` with the adapter of a checkpoint; `base` is not changed.

    In float32 the adapter is merged (faster, equal up to rounding); in lower precision merging would change
    the scored weights, so it stays separate. Only safetensors is read, never a pickle. AdapterError when it
    does not fit the base model.
    """
    model = loaded(base, path, base_id)
    return model.merge_and_unload() if base.dtype == torch.float32 else model


@torch.no_grad()  # not inference_mode: what a model caches in it would not train any more
def generate(
    model: Any,
    tokenizer: Any,
    requests: Sequence[Request],
    sampling: Sampling,
    progress: Callable[[int], None] = lambda _: None,
) -> list[Completion]:
    """Return one completion for each request, in order; `progress` is called with the number done."""
    model.eval()
    done: list[Completion] = []
    for start in range(0, len(requests), sampling.batch_size):
        done += _batch(model, tokenizer, requests[start : start + sampling.batch_size], sampling)
        progress(len(done))
    return done


def _batch(
    model: Any, tokenizer: Any, requests: Sequence[Request], sampling: Sampling
) -> list[Completion]:
    inputs = tokenizer(
        [request.prompt for request in requests],
        return_tensors="pt",
        padding=True,
        padding_side="left",
        add_special_tokens=False,
    ).to(model.device)
    output = model.generate(
        input_ids=inputs["input_ids"],
        attention_mask=inputs["attention_mask"],
        max_new_tokens=sampling.max_new_tokens,
        do_sample=False,
        use_cache=True,  # a model in training may have it turned off
        logits_processor=_processors(requests, sampling, model.device),
        pad_token_id=tokenizer.pad_token_id,
    )
    ends = _end_ids(model, tokenizer)
    rows = output[:, inputs["input_ids"].shape[1] :].tolist()
    return [_completion(row, ends, tokenizer) for row in rows]


def _processors(
    requests: Sequence[Request], sampling: Sampling, device: Any
) -> LogitsProcessorList:
    if sampling.temperature == 0:
        return LogitsProcessorList()  # generate takes the arg max of the logits themselves
    processors = LogitsProcessorList([TemperatureLogitsWarper(sampling.temperature)])
    if sampling.top_p < 1.0:
        processors.append(TopPLogitsWarper(sampling.top_p))
    processors.append(GumbelNoise([request.seed for request in requests], device))
    return processors


class GumbelNoise(LogitsProcessor):  # type: ignore[misc]  # transformers ships no types for it
    """Adds standard Gumbel noise to each row, from that row's own generator."""

    AHEAD = 1 << 22  # numbers drawn at once for all rows; affects only speed

    def __init__(self, seeds: Sequence[int], device: Any) -> None:
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self._device = device
        self._block = torch.empty(0)
        self._next = 0

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if self._next == len(self._block):
            self._draw(scores.shape[1])
        noise = self._block[self._next].to(self._device)
        self._next += 1
        return torch.log_softmax(scores.float(), dim=-1) + noise

    def _draw(self, vocabulary: int) -> None:
        steps = max(1, self.AHEAD // (len(self._generators) * vocabulary))
        uniform = [
            torch.rand(steps, vocabulary, generator=generator) for generator in self._generators
        ]
        self._block = -torch.log(-torch.log(torch.stack(uniform, dim=1).clamp_min(1e-30)))
        self._next = 0


def _end_ids(model: Any, tokenizer: Any) -> set[int]:
    ends = model.generation_config.eos_token_id
    found = ends if isinstance(ends, list) else [ends]
    return {each for each in (*found, tokenizer.eos_token_id) if each is not None}


def _completion(row: list[int], ends: set[int], tokenizer: Any) -> Completion:
    stop = next((place for place, token in enumerate(row) if token in ends), None)
    tokens = row if stop is None else row[: stop + 1]
    text = tokenizer.decode(tokens, skip_special_tokens=True)
    return Completion(text, len(tokens), "length" if stop is None else "stop")
