"""The bound: how soon somebody sees a change who knows everything but its time.

A CUSUM for a change of known shape. It is told the mean path without the change, the path of means and
the covariances after it, and the noise. For every time s at which the change might have begun it sums the
log-likelihood ratio of all metrics of the steps since, as if the path had begun at s (Gaussian batch
means), and says so when the greatest sum reaches log(2000 / .01): false alarms come once in 200,000 steps
at most (Lorden 1971), that is in one of a hundred runs of 2,000 steps. No detector that has to learn the
noise, the level or the shape can be as quick at that rate.
"""

import math

import numpy as np

from benchmarks.detector.grpo_simulation.moments import METRICS, moments
from benchmarks.detector.grpo_simulation.run import Run
from benchmarks.detector.grpo_simulation.setting import Array, drawn_problems

LEVEL = math.log(2000 / 0.01)
BEFORE = 100  # logged steps before the truth at which the watch begins
GRID = 256  # problems of a large set that stand for it


def delay(run: Run, logging_steps: int = 1, before: int = BEFORE) -> float:
    """Return the steps from the truth to the oracle's alarm; infinite if the run ends without one.

    An alarm before the truth counts as a delay of 0.
    """
    if run.truth is None:
        raise ValueError(f"{run.kind.name} has no transition, so nobody can be late for it")
    begin = max(0, run.truth - before) // logging_steps
    scores = statistic(run, logging_steps, begin)
    above = np.flatnonzero(scores >= LEVEL)
    if not len(above):
        return math.inf
    return max(0.0, float((begin + above[0] + 1) * logging_steps - run.truth))


def statistic(run: Run, logging_steps: int, begin: int) -> Array:
    """Return the greatest sum of log-likelihood ratios at each logged point from index `begin` on."""
    values = _observed(run, logging_steps)[begin:]
    calm, noise = _averaged(run, logging_steps, changed=False)
    mean, spread = _averaged(run, logging_steps, changed=True)
    start = (run.truth or 0) // logging_steps  # the first point that holds a changed step
    residual = values - calm[begin:]
    shift, after = (mean - calm)[start:], spread[start:]
    return _greatest(_ratios(residual, noise[begin:], shift, after))


def _ratios(residual: Array, noise: Array, shift: Array, after: Array) -> Array:
    """Return log-likelihood ratios (point, points since the change) of residuals under the shift."""
    quiet = np.linalg.inv(noise)
    null = np.einsum("ti,tij,tj->t", residual, quiet, residual) + np.linalg.slogdet(noise)[1]
    loud = np.linalg.inv(after)
    pulled = np.einsum("uij,uj->ui", loud, shift)
    quadratic = (
        np.einsum("ti,uij,tj->tu", residual, loud, residual, optimize=True)
        - 2 * residual @ pulled.T
        + np.einsum("ui,ui->u", pulled, shift)
    )
    ratio: Array = 0.5 * (null[:, None] - quadratic - np.linalg.slogdet(after)[1])
    return ratio


def _greatest(ratio: Array) -> Array:
    """Return for each point the greatest sum over the diagonals that end there: change times."""
    points, longest = ratio.shape
    best = np.full(points, -np.inf)
    for begin in range(points):
        part = np.diagonal(ratio[begin:])[: min(points - begin, longest)]
        np.maximum(
            best[begin : begin + len(part)], np.cumsum(part), out=best[begin : begin + len(part)]
        )
    return best


def _observed(run: Run, every: int) -> Array:
    names = ("format_reward", "accuracy_reward", "completion_length", "clipped_ratio")
    columns = np.stack([*(run.steps[n] for n in names), np.log(run.steps["entropy"])], 1)
    return _mean(columns, every)


def _averaged(run: Run, every: int, changed: bool) -> tuple[Array, Array]:
    """Return means and covariances of the logged points, with or without the change."""
    problems = run.problems
    if len(problems) > GRID:
        problems = drawn_problems(np.random.default_rng(run.seed), run.setting, GRID)
    state = run.state if changed else run.calm
    at = np.arange(run.kind.steps)
    parts = [
        moments(run.setting, problems, state, part) for part in np.array_split(at, len(at) // 100)
    ]
    means, covariances = (np.concatenate(part) for part in zip(*parts, strict=True))
    flat = _mean(covariances.reshape(len(at), -1), every) / every
    return _mean(means, every), flat.reshape(-1, METRICS, METRICS)


def _mean(values: Array, every: int) -> Array:
    count = len(values) // every
    mean: Array = values[: count * every].reshape(count, every, -1).mean(1)
    return mean
