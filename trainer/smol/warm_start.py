"""A short supervised fine-tuning of the last layers, after which the model mostly keeps the format."""

import itertools
import random
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F

from trainer.chat import messages
from trainer.gym.procedural import GymProblem, gym_problems
from trainer.recipe import WarmStart
from trainer.smol.thought_traces import thought_trace

Row = tuple[list[int], list[int]]


def warm_started(
    model: Any, tokenizer: Any, options: WarmStart, progress: Callable[[str], None]
) -> Any:
    """Return the model, trained in place on traces of problems of the split `train`."""
    torch.manual_seed(options.seed)
    trained = _last_layers(model, options.layers)
    optimizer = torch.optim.AdamW(trained, lr=options.learning_rate, weight_decay=0.0)
    rows = _rows(tokenizer, options)
    progress(f"base model: warm start on the format, {options.steps} steps (once; then cached)")
    model.train()
    for step in range(1, options.steps + 1):
        for group in optimizer.param_groups:  # falls linearly, as there are so few steps
            group["lr"] = options.learning_rate * (1 - (step - 1) / options.steps)
        batch = list(itertools.islice(rows, options.batch_size))
        loss = _loss(model, batch, tokenizer.pad_token_id)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if step % max(1, options.steps // 5) == 0:
            progress(f"base model: step {step} of {options.steps}, loss {loss.item():.3f}")
    model.requires_grad_(True)
    return model.eval()


def _last_layers(model: Any, layers: int) -> list[torch.nn.Parameter]:
    """Return the parameters of the last layers and the final norm; all others are frozen."""
    model.requires_grad_(False)
    parts = [*model.model.layers[-layers:], model.model.norm]
    trained = [one for part in parts for one in part.parameters()]
    for one in trained:
        one.requires_grad_(True)
    return trained


def _rows(tokenizer: Any, options: WarmStart) -> "itertools.cycle[Row]":
    """Return the token ids of prompts and traces, as many as the steps take."""
    problems = gym_problems(
        options.tasks, options.steps * options.batch_size, options.seed, "train"
    )
    rng = random.Random(options.seed)
    return itertools.cycle([_row(problem, tokenizer, options, rng) for problem in problems])


def _row(problem: GymProblem, tokenizer: Any, options: WarmStart, rng: random.Random) -> Row:
    prompt = tokenizer.apply_chat_template(
        messages(problem.question, options.system_prompt),
        tokenize=False,
        add_generation_prompt=True,
    )
    trace = thought_trace(problem, rng, options.broken_format, options.slip) + tokenizer.eos_token
    ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in (prompt, trace)]
    return ids[0], ids[1]


def _loss(model: Any, rows: Sequence[Row], pad: int) -> torch.Tensor:
    """Return the mean cross entropy of the traces' tokens (padded on the right, which needs no mask)."""
    width = max(len(prompt) + len(trace) for prompt, trace in rows)
    ids = torch.full((len(rows), width), pad)
    labels = torch.full((len(rows), width), -100)
    for number, (prompt, trace) in enumerate(rows):
        end = len(prompt) + len(trace)
        ids[number, :end] = torch.tensor(prompt + trace)
        labels[number, len(prompt) : end] = torch.tensor(trace)
    # Logits of the traces only: the vocabulary is a fifth of the model.
    hidden = model.model(input_ids=ids).last_hidden_state[:, :-1]
    wanted = labels[:, 1:]
    scored = wanted != -100
    return F.cross_entropy(model.lm_head(hidden[scored]), wanted[scored])
