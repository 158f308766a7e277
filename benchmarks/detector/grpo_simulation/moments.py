"""Exact mean and covariance of a step's metrics, given the policy's state: what the oracle knows.

Metrics in this order: format, accuracy, tokens, share cut, log entropy. Given its problem, a completion's
length is log-normal and censored at the limit; format and answer are right independently of each other
and of the length, and wrong where it is cut. A batch mean of B problems x G completions has covariance
(Cov over problems of the conditional means + mean conditional covariance / G) / B.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtr

from benchmarks.detector.grpo_simulation.batch import ENTROPY_SD
from benchmarks.detector.grpo_simulation.policy import State
from benchmarks.detector.grpo_simulation.setting import Array, Problems, Setting

METRICS = 5
# Gauss-Hermite nodes for the jumps of format from step to step.
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(9)
_SHARES = _WEIGHTS / _WEIGHTS.sum()


def moments(
    setting: Setting, problems: Problems, state: State, at: NDArray[np.intp]
) -> tuple[Array, Array]:
    """Return means (steps, 5) and covariances (steps, 5, 5) of the metrics at the indices `at`."""
    shake = state.shake[at]
    if not shake.any():
        return _given(setting, problems, state, at, np.zeros(len(at)))
    parts = [_given(setting, problems, state, at, node * shake) for node in _NODES]
    means = np.array([mean for mean, _ in parts])
    mean = np.tensordot(_SHARES, means, 1)
    within = np.tensordot(_SHARES, np.array([covariance for _, covariance in parts]), 1)
    off = means - mean
    return mean, within + np.einsum("k,kti,ktj->tij", _SHARES, off, off)


def _given(
    setting: Setting, problems: Problems, state: State, at: NDArray[np.intp], jump: Array
) -> tuple[Array, Array]:
    first, second = _completion(setting, problems, state, at, jump)
    mean = first.mean(1)
    between = np.einsum("tpi,tpj->tij", first - mean[:, None], first - mean[:, None]) / len(
        problems
    )
    within = second.mean(1) - np.einsum("tpi,tpj->tij", first, first) / len(problems)
    repeated = _repeated(setting.group, state.copies[at])[:, None, None]
    covariance = np.zeros((len(at), METRICS, METRICS))
    covariance[:, :4, :4] = (between + within * repeated) / setting.prompts
    covariance[:, 4, 4] = ENTROPY_SD**2 / setting.prompts
    # Logged shares come in steps of 1/n; a share that never moves is known no better than that.
    covariance[:, range(4), range(4)] += _grain(setting, mean) ** 2 / 12
    return np.concatenate([mean, state.entropy[at][:, None]], 1), covariance


def _grain(setting: Setting, mean: Array) -> Array:
    share = np.full(len(mean), 1 / setting.completions)
    return np.stack([share, share, mean[:, 2] * 0.001, share], 1)


def _repeated(group: int, copies: Array) -> Array:
    """Return the variance of a group's mean in units of one completion's, where some repeat the first."""
    k = (group - 1) * copies
    spread = (group - 1) * copies * (1 - copies)
    repeated: Array = ((1 + k) ** 2 + spread + group - 1 - k) / group**2
    return repeated


def _completion(
    setting: Setting, problems: Problems, state: State, at: NDArray[np.intp], jump: Array
) -> tuple[Array, Array]:
    """Return first (steps, problems, 4) and second (.., 4, 4) moments of one completion's metrics."""
    spread, top = setting.within_sd, np.log(setting.limit)
    length = state.batch_length[at][:, None] + problems.length
    edge = (top - length) / spread
    whole = ndtr(edge)
    ended = np.exp(length + spread**2 / 2) * ndtr(edge - spread)  # E[tokens; not cut]
    ended_squared = np.exp(2 * length + 2 * spread**2) * ndtr(edge - 2 * spread)
    form = expit((state.batch_format[at] + jump)[:, None] + problems.format)
    right = expit((state.skill[at] - state.harder[at])[:, None] - problems.difficulty)
    form_squared = form**2 + form * (1 - form) / setting.format_levels
    right_squared = right**2 + right * (1 - right) / setting.accuracy_levels
    both = form * right
    if setting.strict:
        perfect = form**setting.format_levels
        right, right_squared, both = perfect * right, perfect * right_squared, perfect * right
    cut, limit = 1 - whole, setting.limit
    first = np.stack([whole * form, whole * right, ended + limit * cut, cut], -1)
    second = np.zeros((*first.shape, 4))
    rows = {
        (0, 0): whole * form_squared, (1, 1): whole * right_squared, (0, 1): whole * both,
        (2, 2): ended_squared + limit**2 * cut, (0, 2): ended * form, (1, 2): ended * right,
        (3, 3): cut, (2, 3): limit * cut,
    }  # fmt: skip
    for (i, j), value in rows.items():
        second[..., i, j] = second[..., j, i] = value
    return first, second
