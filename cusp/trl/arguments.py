"""Run metadata from a trainer's arguments and state: logging and save intervals, sample sizes.

Steps are read from the state, where transformers has already turned fractions of `max_steps` into numbers.
"""

import math
from collections.abc import Iterable
from typing import Any

from cusp.protocol.flops import training_flops
from cusp.protocol.run import RunMetadata


def described(
    args: Any, state: Any, model: Any, given: RunMetadata, dataloader: Any = None
) -> RunMetadata:
    """Return the metadata with missing fields filled in from the trainer.

    `args` is a TrainingArguments, `state` the TrainerState of a training that begins, `dataloader` the
    training's, which gives the length of an epoch. Unknown fields stay None.
    """
    found: dict[str, object] = {
        "max_steps": state.max_steps if state.max_steps > 0 else None,
        "completions_per_point": completions_per_point(args, state, dataloader),
        "completion_limit_tokens": getattr(args, "max_completion_length", None),
        "save_steps": save_interval(args, state, dataloader),
        "gpu_count": args.world_size if args.device.type == "cuda" else 0,
    }
    if model is not None:
        sizes = [(p.numel(), p.requires_grad) for p in model.parameters()]
        total = sum(size for size, _ in sizes)
        trained = sum(size for size, trains in sizes if trains)
        found["model_parameters"], found["trainable_parameters"] = total, trained
        found["flops_per_token"] = flops_per_token(args, total, trained)
    return given.model_copy(
        update={k: v for k, v in found.items() if k not in given.model_fields_set}
    )


def flops_per_token(args: Any, parameters: int, trained: int) -> float | None:
    """Return the operations for each token that a TRL trainer logs as `num_tokens`; None for a model without any.

    Only GRPO's arguments have `num_generations`: it generates what it trains on, and also reads it with the
    reference model (`beta` not 0), and with the old policy where a batch is reused or vLLM generated it.
    """
    if not parameters:
        return None
    generates = getattr(args, "num_generations", None) is not None
    passes = max(1, getattr(args, "num_iterations", None) or 1)
    accumulated = max(1, args.gradient_accumulation_steps)
    reused = passes * (getattr(args, "steps_per_generation", None) or accumulated)
    corrects = getattr(args, "vllm_importance_sampling_correction", False)
    old = accumulated % reused != 0 or (getattr(args, "use_vllm", False) and corrects)
    scored = int(bool(getattr(args, "beta", 0.0))) + int(old) if generates else 0
    recomputes = bool(getattr(args, "gradient_checkpointing", False))
    work: dict[str, Any] = {
        "generates": generates,
        "passes": passes,
        "recomputes": recomputes,
        "scored": scored,
    }
    return training_flops(parameters, trained, **work)


def completions_per_point(args: Any, state: Any, dataloader: Any = None) -> int | None:
    """Return the number of completions that one logged point averages over; None if none are logged.

    TRL generates `steps_per_generation` batches at once and trains on them `num_iterations` times, so a
    point covers the generations since the last one, and at least one: in steps without a generation TRL
    logs no completion metrics.
    """
    steps = logging_interval(args, state, dataloader)
    if steps is None:
        return None
    accumulated = max(1, args.gradient_accumulation_steps)
    per_batch = max(1, _batch_size(args, state) * _processes(args))
    reused = max(1, getattr(args, "num_iterations", None) or 1)
    generated = per_batch * (getattr(args, "steps_per_generation", None) or 1)
    return int(max(generated, steps * accumulated * per_batch // reused))


def logging_interval(args: Any, state: Any, dataloader: Any = None) -> int | None:
    """Return the steps between two logged points; None if nothing is logged or it is unknown."""
    strategy = _text(args.logging_strategy)
    if strategy == "epoch":
        return steps_per_epoch(args, state, dataloader)
    return _whole(state, args, "logging_steps") if strategy == "steps" else None


def save_interval(args: Any, state: Any, dataloader: Any = None) -> int | None:
    """Return the steps between two saves; None if there are no intermediate saves or it is unknown.

    The strategy `best` saves after an evaluation, so at most once per evaluation.
    """
    strategy, name = _text(args.save_strategy), "save_steps"
    if strategy == "best":
        strategy, name = _text(args.eval_strategy), "eval_steps"
    if strategy == "epoch":
        return steps_per_epoch(args, state, dataloader)
    return _whole(state, args, name) if strategy == "steps" else None


def steps_per_epoch(args: Any, state: Any, dataloader: Any = None) -> int | None:
    """Return the optimiser steps of one epoch as transformers counts them; None for an endless epoch."""
    batches = _length(dataloader)
    accumulated: int = max(1, args.gradient_accumulation_steps)
    if batches is not None:
        return max(1, math.ceil(batches / accumulated))
    epochs: float = args.num_train_epochs
    total: int = state.max_steps
    if args.max_steps > 0 or total <= 0 or not epochs or epochs <= 0:
        return None
    return max(1, round(total / epochs))  # transformers computed max_steps from the epochs


def warnings_on(args: Any, state: Any) -> Iterable[str]:
    """Yield a warning sentence for each setting that leaves little to watch or to keep."""
    if _text(args.logging_strategy) == "no":
        yield (
            "logging_strategy='no' logs nothing, so Cusp sees nothing of this training; set"
            " logging_strategy='steps' and logging_steps=1."
        )
    if _text(args.save_strategy) == "no":
        yield (
            "save_strategy='no' saves no checkpoint on the way, so there will be none from before a"
            " transition to keep; set save_strategy='steps' and save_steps."
        )


def _whole(state: Any, args: Any, name: str) -> int | None:
    """Return an interval in steps from the state, or from the arguments in older transformers."""
    value = getattr(state, name, None)
    if value is None:
        value = getattr(args, name, None)
    if value is None or not value > 0:
        return None
    return math.ceil(value * max(1, state.max_steps)) if value < 1 else int(value)


def _batch_size(args: Any, state: Any) -> int:
    """Return the batch size per process; `auto_find_batch_size` puts its result into the state."""
    found = getattr(state, "train_batch_size", None)
    if getattr(args, "auto_find_batch_size", False) and found:
        return int(found)
    return int(args.train_batch_size)


def _processes(args: Any) -> int:
    """Return the number of processes with a batch of that size each; 1 with `split_batches`."""
    split = getattr(getattr(args, "accelerator_config", None), "split_batches", False)
    return 1 if split else int(args.world_size)


def _length(dataloader: Any) -> int | None:
    try:
        return len(dataloader) or None
    except (TypeError, NotImplementedError, AttributeError):
        return None


def _text(strategy: Any) -> str:
    return str(getattr(strategy, "value", strategy))
