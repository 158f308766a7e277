"""Completions of a vLLM engine in this process, as they finish: of a training's own engine, or of an evaluation's."""

import itertools
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import torch

from trainer.evaluation.engines.completion import (
    Draw,
    EngineError,
    Finished,
    Request,
    completion_of,
    end_ids,
    prompt_ids,
)
from trainer.recipe import Sampling

_NUMBERS = itertools.count()
Answer = tuple[int, list[int], str]
"""The place of a request, the tokens of its completion, and why it ended."""


def drawing_with(engine: Any, model: Any, tokenizer: Any) -> Draw:
    """Return what generates with the engine of a training, which is made for `model`, and its adapter of now.

    An engine in the training's process draws from the same random state: that is afterwards what it was.
    """

    def draw(requests: Sequence[Request], sampling: Sampling) -> Iterator[Finished]:
        device = torch.cuda.current_device() if torch.cuda.is_available() else None
        ends = end_ids(model.generation_config, tokenizer)
        prompts = list(zip(prompt_ids(requests, tokenizer), requests, strict=True))
        with torch.random.fork_rng(devices=[] if device is None else [device]):
            for start in range(0, len(prompts), sampling.batch_size):
                part = [
                    (start + place, ids, each.seed)
                    for place, (ids, each) in enumerate(
                        prompts[start : start + sampling.batch_size]
                    )
                ]
                for done in stream(engine.llm_engine, part, sampling, ends, engine.request):
                    yield [
                        (place, completion_of(ids, reason, tokenizer))
                        for place, ids, reason in done
                    ]

    return draw


def stream(
    core: Any,
    requests: Sequence[tuple[int, list[int], int]],
    sampling: Sampling,
    ends: Collection[int],
    adapter: Any,
) -> Iterator[list[Answer]]:
    """Yield the answers of a `LLMEngine` to requests of (place, prompt's tokens, seed), as they finish.

    At temperature 0 the engine takes the most likely token each time. `adapter` is a LoRARequest or None. What
    is unfinished when the iterator is closed is given up. EngineError for a prompt that the engine refuses.
    """
    waiting: dict[str, int] = {}
    try:
        for place, prompt, seed in requests:
            name = f"cusp-{next(_NUMBERS)}"
            drawn, given = _parameters(sampling, seed, ends), {"prompt_token_ids": prompt}
            try:
                core.add_request(name, given, drawn, lora_request=adapter)
            except ValueError as error:
                raise EngineError(
                    f"vLLM refuses a prompt of {len(prompt)} tokens: {error}"
                ) from error
            waiting[name] = place
        while waiting:
            done = [each for each in core.step() if each.finished and each.request_id in waiting]
            if done:
                yield [_answer(waiting.pop(each.request_id), each.outputs[0]) for each in done]
    finally:
        if waiting:
            core.abort_request(list(waiting))


def _parameters(sampling: Sampling, seed: int, ends: Collection[int]) -> Any:
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    return SamplingParams(
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        max_tokens=sampling.max_new_tokens,
        seed=seed,
        stop_token_ids=sorted(ends),
        detokenize=False,
        output_kind=RequestOutputKind.FINAL_ONLY,
    )


def _answer(place: int, output: Any) -> Answer:
    return place, list(output.token_ids), str(output.finish_reason)
