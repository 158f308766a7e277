"""Generates completions with the engine that a training generates with, between two of its steps."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from trainer.evaluation.generate_transformers import Completion, Request
from trainer.recipe import Sampling


def generate_with(
    engine: Any,
    tokenizer: Any,
    requests: Sequence[Request],
    sampling: Sampling,
    progress: Callable[[int], None] = lambda _: None,
) -> list[Completion]:
    """Return one completion for each request, in order; `progress` is called with the number done.

    Each has its own seed; at temperature 0 the engine takes the most likely token each time. An engine in the
    training's process draws from the same random state: that is afterwards what it was.
    """
    from vllm import SamplingParams

    done: list[Completion] = []
    device = torch.cuda.current_device() if torch.cuda.is_available() else None
    with torch.random.fork_rng(devices=[] if device is None else [device]):
        for start in range(0, len(requests), sampling.batch_size):
            part = requests[start : start + sampling.batch_size]
            prompts = [
                {"prompt_token_ids": tokenizer(each.prompt, add_special_tokens=False)["input_ids"]}
                for each in part
            ]
            drawn = [
                SamplingParams(
                    temperature=sampling.temperature,
                    top_p=sampling.top_p,
                    max_tokens=sampling.max_new_tokens,
                    seed=each.seed,
                )
                for each in part
            ]
            answers = engine.generate(prompts, sampling_params=drawn, use_tqdm=False)
            done += [_completion(answer.outputs[0], tokenizer) for answer in answers]
            progress(len(done))
    return done


def _completion(output: Any, tokenizer: Any) -> Completion:
    tokens = list(output.token_ids)
    text = tokenizer.decode(tokens, skip_special_tokens=True)
    return Completion(text, len(tokens), "length" if output.finish_reason == "length" else "stop")
