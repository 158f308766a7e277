"""Completions by transformers in this process, in batches, on the device that the model is on.

A sample depends on its own seed only (`heavy_gumbel.py`), not on the others in its batch.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import LogitsProcessorList

from trainer.evaluation.adapters import loaded
from trainer.evaluation.engines.completion import (
    Draw,
    Finished,
    Request,
    completion_of,
    end_ids,
    prompt_ids,
)
from trainer.evaluation.engines.heavy_gumbel import HeavyGumbel
from trainer.recipe import Sampling


def with_adapter(base: Any, path: Path, base_id: str | None = None) -> Any:
    """Return a copy of `base` with the adapter of a checkpoint; `base` is not changed.

    In float32 the adapter is merged (faster, equal up to rounding); in lower precision merging would change
    the scored weights, so it stays separate. Only safetensors is read, never a pickle. AdapterError when it
    does not fit the base model.
    """
    model = loaded(base, path, base_id)
    return model.merge_and_unload() if base.dtype == torch.float32 else model


class TransformersEngine:
    """Holds a base model, and one copy of it with the adapter used last."""

    def __init__(self, load: Callable[[], tuple[Any, Any]], base_id: str | None) -> None:
        """`load` returns (model, tokenizer), the model on its device; `base_id` is its name on the hub, if any."""
        self._base, self._tokenizer = load()
        self._base_id = base_id
        self._loaded: tuple[Path | None, Any] = (None, self._base)

    @property
    def tokenizer(self) -> Any:
        return self._tokenizer

    def completions(
        self, adapter: Path | None, requests: Sequence[Request], sampling: Sampling
    ) -> Iterator[Finished]:
        """Yield the completions batch by batch; AdapterError for an adapter that does not fit."""
        return generate(self._model(adapter), self._tokenizer, requests, sampling)

    def close(self) -> None:
        """Let the models go."""
        self._base, self._loaded = None, (None, None)

    def _model(self, adapter: Path | None) -> Any:
        if self._loaded[0] != adapter:
            self._loaded = (None, self._base)  # the former copy goes before the next one is made
            if adapter is not None:
                self._loaded = (adapter, with_adapter(self._base, adapter, self._base_id))
        return self._loaded[1]


def drawing(model: Any, tokenizer: Any) -> Draw:
    """Return what generates with a model as it is now."""
    return partial(generate, model, tokenizer)


def generate(
    model: Any, tokenizer: Any, requests: Sequence[Request], sampling: Sampling
) -> Iterator[Finished]:
    """Yield the completions of a model, `sampling.batch_size` at a time and in order."""
    model.eval()
    size = sampling.batch_size
    for start in range(0, len(requests), size):
        part = requests[start : start + size]
        yield list(enumerate(_batch(model, tokenizer, part, sampling), start))


@torch.no_grad()  # not inference_mode: what a model caches in it would not train any more
def _batch(model: Any, tokenizer: Any, requests: Sequence[Request], sampling: Sampling) -> Any:
    prompts = prompt_ids(requests, tokenizer)
    width, pad = max(map(len, prompts)), _padding(tokenizer)
    ids = [[pad] * (width - len(each)) + each for each in prompts]
    mask = [[0] * (width - len(each)) + [1] * len(each) for each in prompts]
    output = model.generate(
        input_ids=torch.tensor(ids, device=model.device),
        attention_mask=torch.tensor(mask, device=model.device),
        max_new_tokens=sampling.max_new_tokens,
        do_sample=False,
        repetition_penalty=1.0,  # what a model's own defaults add, no other engine does
        use_cache=True,  # a model in training may have it turned off
        logits_processor=_processors(requests, sampling, model.device),
        pad_token_id=pad,
    )
    ends = end_ids(model.generation_config, tokenizer)
    rows = output[:, width:].tolist()
    return [_completion(row, ends, tokenizer) for row in rows]


def _padding(tokenizer: Any) -> int:
    """Return the token that fills up shorter rows; where there is none (Llama 3, GPT-2) the end, which is masked."""
    found = (tokenizer.pad_token_id, tokenizer.eos_token_id, 0)
    return next(each for each in found if each is not None)


def _processors(
    requests: Sequence[Request], sampling: Sampling, device: Any
) -> LogitsProcessorList:
    if sampling.temperature == 0:
        return LogitsProcessorList()  # generate takes the arg max of the logits themselves
    seeds = [request.seed for request in requests]
    return LogitsProcessorList([HeavyGumbel(seeds, sampling.temperature, sampling.top_p, device)])


def _completion(row: list[int], ends: set[int], tokenizer: Any) -> Any:
    stop = next((place for place, token in enumerate(row) if token in ends), None)
    ids = row if stop is None else row[: stop + 1]
    return completion_of(ids, "length" if stop is None else "stop", tokenizer)
