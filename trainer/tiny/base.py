"""Base model of the embedded task: trained locally by supervised learning, then cached.

Deterministic on one machine; the cache key is a hash of the options and of the source code that uses them,
and a folder appears in the cache only when it is complete.
"""

import hashlib
import inspect
import itertools
import json
import math
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import save_file
from transformers import Qwen2Config, Qwen2ForCausalLM

from cusp.process import file_lock
from trainer.recipe import TinyModel
from trainer.tiny import problems, teacher_traces, tokenizer

Progress = Callable[[str], None]


def base_model(options: TinyModel, cache: Path, progress: Progress = print) -> Path:
    """Return the folder of the base model for `options`, trained now unless `cache` holds it.

    Of several processes one trains it, and the others wait.
    """
    folder = cache / f"tiny-base-{cache_key(options)}"
    cache.mkdir(parents=True, exist_ok=True)
    lock = None
    while not _is_there(folder) and (lock := file_lock.take(folder.with_suffix(".lock"))) is None:
        time.sleep(0.2)
    try:
        if not _is_there(folder):
            model = make_base(options, progress)
            work = Path(tempfile.mkdtemp(prefix="tiny-base-", dir=cache))
            _save(model, work)
            tokenizer.make_tokenizer().save_pretrained(work)
            _publish(work, folder)
    finally:
        if lock is not None:
            lock.close()
    return folder


def _save(model: Qwen2ForCausalLM, folder: Path) -> None:
    """Write the files of `save_pretrained`, which itself writes weights on rank 0 only."""
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(folder)
    model.generation_config.save_pretrained(folder)
    tied = {"lm_head.weight"}  # the embedding's own tensor
    state = {name: one.contiguous() for name, one in model.state_dict().items() if name not in tied}
    save_file(state, str(folder / "model.safetensors"), metadata={"format": "pt"})


def _is_there(folder: Path) -> bool:
    return (folder / "model.safetensors").is_file()


def cache_key(options: TinyModel) -> str:
    """Return a short hash of everything that determines the weights."""
    sources = [inspect.getsource(module) for module in (problems, tokenizer, teacher_traces)]
    sources.append(inspect.getsource(make_base) + inspect.getsource(_loss))
    versions = [torch.__version__, transformers.__version__]
    text = json.dumps([options.model_dump(mode="json"), versions, sources], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def make_base(options: TinyModel, progress: Progress = print) -> Qwen2ForCausalLM:
    """Return a Qwen2 trained on synthetic traces, with about ten progress lines."""
    torch.manual_seed(options.seed)
    rng = random.Random(options.seed)
    model = _empty_model(options)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=options.sft_learning_rate, weight_decay=0.01, betas=(0.9, 0.98)
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _warm_then_cosine(options.sft_steps))
    style = teacher_traces.TraceStyle(**options.traces.model_dump())
    pairs = problems.stream(rng, options.digits, "train")
    for step in range(1, options.sft_steps + 1):
        batch = [
            _example(problem, teacher_traces.write_trace(problem, rng, style), options)
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


def _empty_model(options: TinyModel) -> Qwen2ForCausalLM:
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


def _example(
    problem: problems.Addition, trace: str, options: TinyModel
) -> tuple[list[int], list[int]]:
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
            loss = _loss(model, rows[start:end]) / tokens
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.item()
    return total


def _loss(model: Qwen2ForCausalLM, rows: Sequence[tuple[list[int], list[int]]]) -> torch.Tensor:
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


def _publish(work: Path, folder: Path) -> None:
    """Rename the finished folder to its final name; another process may have been first."""
    for file in work.iterdir():
        file.chmod(0o644)
    work.chmod(0o755)
    try:
        os.rename(work, folder)
    except OSError:
        if not _is_there(folder):
            raise
        shutil.rmtree(work)
