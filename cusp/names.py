"""Metric dialects of the trainers, mapped to canonical names.

TRL 0.15 logs `completion_length` and `rewards/<function>`, TRL 1.x `completions/mean_length` and
`rewards/<function>/mean`, Unsloth follows either, verl and OpenRLHF have names of their own, trackio
and W&B add `train/`. Whatever is not known keeps the name it came with.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

CANONICAL = (
    "format_reward",
    "accuracy_reward",
    "completion_length",
    "clipped_ratio",
    "reward",
    "reward_std",
    "kl",
    "entropy",
    "loss",
    "grad_norm",
    "learning_rate",
    "logp_difference",
    "step_time_s",
    "tokens",
)

_ALIASES = {
    # TRL 1.x
    "completions/mean_length": "completion_length",
    "completions/clipped_ratio": "clipped_ratio",
    "num_tokens": "tokens",
    "step_time": "step_time_s",
    "sampling/sampling_logp_difference/mean": "logp_difference",
    # verl
    "response_length/mean": "completion_length",
    "response_length/clip_ratio": "clipped_ratio",
    "critic/rewards/mean": "reward",
    "actor/entropy": "entropy",
    "actor/entropy_loss": "entropy",
    "actor/kl_loss": "kl",
    "actor/grad_norm": "grad_norm",
    "actor/lr": "learning_rate",
    "actor/pg_loss": "loss",
    "timing_s/step": "step_time_s",
    # OpenRLHF
    "response_length": "completion_length",
    "actor_lr": "learning_rate",
    "policy_loss": "loss",
    "truncated": "clipped_ratio",
}

_REWARD = re.compile(r"rewards/(?P<function>[^/]+?)(?P<mean>/mean)?$")
_FORMAT = {"format", "format_reward", "format_reward_func", "think_format_reward", "tag_format"}
_ACCURACY = {
    "accuracy",
    "accuracy_reward",
    "accuracy_reward_func",
    "correctness_reward_func",
    "correctness_reward",
}


@lru_cache(maxsize=4096)
def canonical_name(name: str) -> str:
    """Return the canonical name of a logged key, or the key itself without its `train/` prefix.

    >>> canonical_name("rewards/format_reward/mean"), canonical_name("train/completion_length")
    ('format_reward', 'completion_length')
    >>> canonical_name("rewards/cosine_reward/mean"), canonical_name("my/metric")
    ('rewards/cosine_reward', 'my/metric')
    """
    name = name.removeprefix("train/")
    if found := _ALIASES.get(name):
        return found
    reward = _REWARD.match(name)
    if reward is None:
        return name
    function = reward["function"]
    if function in _FORMAT:
        return "format_reward"
    if function in _ACCURACY:
        return "accuracy_reward"
    return f"rewards/{function}"


def canonical(metrics: Mapping[str, object]) -> dict[str, object]:
    """Return the metrics under canonical names; where two keys meet, the canonical spelling wins.

    >>> canonical({"completions/mean_length": 80.0, "kl": None})
    {'completion_length': 80.0, 'kl': None}
    """
    named = {canonical_name(str(name)): value for name, value in metrics.items()}
    named.update({name: value for name, value in metrics.items() if name in CANONICAL})
    return named


def finite_only(metrics: Mapping[str, object]) -> tuple[dict[str, float], int]:
    """Return the finite numbers in `metrics` and how many values were numbers-to-be but not finite.

    None, NaN and infinities mean "not measured": they are left out and counted. Text is ignored.

    >>> finite_only({"reward": 0.5, "kl": float("nan"), "note": "x", "entropy": None})
    ({'reward': 0.5}, 2)
    """
    numbers: dict[str, float] = {}
    skipped = 0
    for name, value in metrics.items():
        if isinstance(value, str | bytes | bool | list | tuple | dict):
            continue
        number = _number(value)
        if number is None:
            skipped += 1
        else:
            numbers[name] = number
    return numbers, skipped


def _number(value: object) -> float | None:
    try:
        number = float(value)  # type: ignore[arg-type]
    except Exception:  # a tensor of many, a lazy value: whatever it raises must not end a training
        return None
    return number if number - number == 0.0 else None
