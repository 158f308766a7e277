"""One batch a step: completions drawn from the state, and what TRL 1.16 logs of them.

A completion that reaches the limit is cut: it has neither the format nor an answer. So a longer policy
lowers format and accuracy by itself, and all metrics of a step share its problems.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from benchmarks.detector.grpo_simulation.policy import State
from benchmarks.detector.grpo_simulation.setting import Array, Problems, Setting

ENTROPY_SD = 0.25  # of one prompt's log entropy; by judgement from the zoo's curves (.03 to .06 a batch of 48)


def logged(
    rng: np.random.Generator,
    setting: Setting,
    problems: Problems,
    which: NDArray[np.intp],
    state: State,
) -> dict[str, Array]:
    """Return the metrics of every step by canonical name; `which` are the problems, (steps, prompts)."""
    shape = (*which.shape, setting.group)
    logs = rng.standard_normal(shape, dtype=np.float32) * setting.within_sd
    logs += (state.batch_length[:, None] + problems.length[which])[..., None]
    cut = logs >= np.log(setting.limit)
    tokens = np.exp(np.minimum(logs, np.log(setting.limit)))
    shaken = state.batch_format + state.shake * rng.standard_normal(len(which))
    form = _reward(rng, shape, shaken[:, None] + problems.format[which], setting.format_levels)
    ability = (state.skill - state.harder)[:, None] - problems.difficulty[which]
    right = _reward(rng, shape, ability, setting.accuracy_levels)
    form[cut] = 0
    right[cut] = 0
    if setting.strict:
        right[form < 1] = 0
    if state.copies.any():
        repeats = rng.random(shape, dtype=np.float32) < state.copies[:, None, None]
        form, right, tokens, cut = (
            np.where(repeats, part[..., :1], part) for part in (form, right, tokens, cut)
        )
    noise = ENTROPY_SD / np.sqrt(setting.prompts) * rng.standard_normal(len(which))
    return {
        **_rewards(setting, form, right),
        **_lengths(tokens, cut),
        "entropy": np.exp(state.entropy + noise),
    }


def _reward(
    rng: np.random.Generator, shape: tuple[int, ...], logits: Array, levels: int
) -> NDArray[np.float32]:
    """Return rewards in [0, 1]: `levels` parts, each right with the same probability."""
    share = expit(logits).astype(np.float32)[..., None]
    total = np.zeros(shape, np.float32)
    for _ in range(levels):
        total += rng.random(shape, dtype=np.float32) < share
    return total / np.float32(levels)


def _rewards(
    setting: Setting, form: NDArray[np.float32], right: NDArray[np.float32]
) -> dict[str, Array]:
    total = setting.accuracy_weight * right + (form if setting.format_logged else 0)
    values = {"accuracy_reward": _mean(right), "rewards/accuracy_reward/std": _std(right)}
    if setting.format_logged:
        values |= {"format_reward": _mean(form), "rewards/format_reward/std": _std(form)}
    equal = (total.max(2) - total.min(2)) < 1e-6
    return {
        **values, "reward": _mean(total), "reward_std": _std(total),
        "frac_reward_zero_std": equal.mean(1, dtype=float),
    }  # fmt: skip


def _lengths(tokens: NDArray[np.float32], cut: NDArray[np.bool_]) -> dict[str, Array]:
    """Return TRL's length metrics; without a terminated completion its mean is 0, as TRL logs it."""
    ended = (~cut).sum((1, 2))
    return {
        "completion_length": _mean(tokens),
        "completions/min_length": tokens.min((1, 2)).astype(float),
        "completions/max_length": tokens.max((1, 2)).astype(float),
        "completions/mean_terminated_length": np.where(cut, 0, tokens).sum((1, 2), dtype=float)
        / np.maximum(ended, 1),
        "clipped_ratio": cut.mean((1, 2), dtype=float),
    }


def _mean(values: NDArray[np.float32]) -> Array:
    mean: Array = values.mean((1, 2), dtype=float)
    return mean


def _std(values: NDArray[np.float32]) -> Array:
    deviation: Array = values.std((1, 2), dtype=float, ddof=1)
    return deviation
