"""Reward functions of a TRL trainer: names as logged, weights and known ranges."""

from collections.abc import Sequence
from typing import Any

from cusp.protocol.fields import MAX_NAME_LENGTH
from cusp.protocol.run import RewardSpec, RunMetadata

MOST = 64  # reward functions in a run's metadata

# Ranges of the functions that TRL ships; the range of a user's function is unknown.
_FIXED = {
    "accuracy_reward": RewardSpec(),
    "reasoning_accuracy_reward": RewardSpec(),
    "think_format_reward": RewardSpec(),
    "soft_overlong_punishment_reward": RewardSpec(low=-1.0, high=0.0, graded=True),
}
_ENDS = ("min_value_wrong", "max_value_wrong", "min_value_correct", "max_value_correct")


def names_of(trainer: Any) -> list[str]:
    """Return the names of the trainer's reward functions and models as TRL logs them."""
    names = getattr(trainer, "reward_func_names", None)
    return [str(name) for name in names] if isinstance(names, list | tuple) else []


def rewards_read(trainer: Any, given: RunMetadata) -> RunMetadata:
    """Return the metadata with missing weights and known ranges filled in from the trainer."""
    names = names_of(trainer)
    found: dict[str, dict[str, Any]] = {
        "reward_weights": dict(zip(names, _weights(trainer), strict=False)),
        "rewards": _ranges(names, getattr(trainer, "reward_funcs", None) or []),
    }
    kept = {
        field: {name: value for name, value in list(values.items())[:MOST] if _sendable(name)}
        for field, values in found.items()
        if values and field not in given.model_fields_set
    }
    return given.model_copy(update=kept)


def _weights(trainer: Any) -> list[float]:
    weights = getattr(trainer, "reward_weights", None)
    if weights is None:
        return []
    found = [float(weight) for weight in weights]
    return found if all(weight - weight == 0.0 for weight in found) else []


def _ranges(names: Sequence[str], functions: Sequence[Any]) -> dict[str, RewardSpec]:
    ranges = {
        name: _range(name, function)
        for name, function in zip(names, functions, strict=False)
        if str(getattr(function, "__module__", "")).startswith("trl.rewards")
    }
    return {name: spec for name, spec in ranges.items() if spec is not None}


def _range(name: str, function: Any) -> RewardSpec | None:
    if name in _FIXED:
        return _FIXED[name]
    if name == "repetition_penalty_reward":
        return _graded([getattr(function, "max_penalty", None), 0.0])
    if name == "cosine_scaled_reward":
        return _graded([getattr(function, end, None) for end in _ENDS])
    return None


def _graded(ends: Sequence[Any]) -> RewardSpec | None:
    if not all(isinstance(end, int | float) for end in ends):
        return None
    return RewardSpec(low=float(min(ends)), high=float(max(ends)), graded=True)


def _sendable(name: str) -> bool:
    return 0 < len(name) <= MAX_NAME_LENGTH and name.isprintable()
