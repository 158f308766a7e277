"""Supervised training of the tiny base model: everything that determines its weights, with `problems`,
`teacher_traces` and `tokenizer`.

A change of meaning in one of the four makes another base: ship it anew (`python -m benchmarks.zoo.ship_base`).
"""

import itertools
import math
import random
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from transformers import Qwen2Config, Qwen2ForCausalLM

from trainer.recipe import TinyModel
from trainer.tiny import problems, teacher_traces, tokenizer

Progress = Callable[[str], None]


def make_base(options: TinyModel, progress: Progress = print) -> Qwen2ForCausalLM:
    """Return a Qwen2 trained on synthetic traces, with about ten progress lines."""
    torch.manual_seed(options.seed)
    rng = random.Random(options.seed)
    model = empty_model(options)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=options.sft_learning_rate, weight_decay=0.01, betas=(0.9, 0.98)
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _warm_then_cosine(options.sft_steps))
    style = teacher_traces.TraceStyle(**options.traces.model_dump())
    pairs = problems.stream(rng, options.digits, "train")
    for step in range(1, options.sft_steps + 1):
        batch = [
            example(problem, teacher_traces.write_trace(problem, rng, style), options)
            for problem in itertools.islice(pairs, options.sft_batch_size)
        ]
        loss = _accumulate(model, batch)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        if step % math.ceil(options.sft_steps / 10) == 0:
            progress(f"base model: step {step} of {options.sft_steps}, loss {loss:.3f}")
    return model


def empty_model(options: TinyModel) -> Qwen2ForCausalLM:
    """Return the model with random weights."""
    config = Qwen2Config(
        vocab_size=len(tokenizer.TOKENS),
        hidden_size=options.hidden_size,
        intermediate_size=3 * options.hidden_size,
        num_hidden_layers=options.layers,
        num_attention_heads=options.heads,
        num_key_value_heads=options.heads,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.PAD_ID,
        eos_token_id=tokenizer.END_ID,
        bos_token_id=None,
    )
    return Qwen2ForCausalLM(config)


def _warm_then_cosine(steps: int) -> Callable[[int], float]:
    warm = max(1, steps // 10)
    return lambda step: (
        (step + 1) / warm
        if step < warm
        else 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))
    )


def example(
    problem: problems.Addition, trace: str, options: TinyModel
) -> tuple[list[int], list[int]]:
    """Return the token ids of the prompt and of the trace, cut at the options' length."""
    prompt = tokenizer.encode(tokenizer.prompt_text(problem.question))
    return prompt, tokenizer.encode(trace)[: options.sft_completion_tokens]


def _accumulate(model: Qwen2ForCausalLM, batch: Sequence[tuple[list[int], list[int]]]) -> float:
    """Add the gradient of the mean token loss; short and long rows separately, to save padding."""
    tokens = sum(len(completion) for _, completion in batch)
    rows = sorted(batch, key=lambda row: len(row[0]) + len(row[1]))
    cuts = (0, len(rows) // 2, 3 * len(rows) // 4, len(rows))
    total = 0.0
    for start, end in itertools.pairwise(cuts):
        if start < end:
            loss = loss_of(model, rows[start:end]) / tokens
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.item()
    return total


def loss_of(model: Qwen2ForCausalLM, rows: Sequence[tuple[list[int], list[int]]]) -> torch.Tensor:
    """Return the summed cross entropy of the completions (padded on the right)."""
    width = max(len(prompt) + len(completion) for prompt, completion in rows)
    ids = torch.full((len(rows), width), tokenizer.PAD_ID)
    labels = torch.full((len(rows), width), -100)
    for number, (prompt, completion) in enumerate(rows):
        end = len(prompt) + len(completion)
        ids[number, :end] = torch.tensor(prompt + completion)
        labels[number, len(prompt) : end] = torch.tensor(completion)
    # Causal attention with right padding needs no mask: no scored position sees padding.
    logits = model(input_ids=ids).logits
    return F.cross_entropy(
        logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100, reduction="sum"
    )
