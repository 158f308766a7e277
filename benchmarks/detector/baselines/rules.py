"""Rules of a few lines that need more than format and length: accuracy, truncation, evaluation with patience.

Their constants are the issue's (accuracy, truncation: seen on the zoo, so its rows flatter them) or
those of TRL's documentation; none is calibrated here.
"""

import math
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks.detector.baselines.method import (
    LOGGED,
    WARM,
    Baseline,
    Course,
    Said,
    heights,
    series,
    share,
)
from benchmarks.detector.cases import Case
from monitor.detector import Detector, RunShape, Sample
from monitor.replay.verified import is_stop

EMA, BACK = 0.08, 10  # weight of the newest accuracy; steps before the best that are kept
RECENT, CUT, RISEN = 20, 0.15, 0.10  # points of the median, share cut, rise from the least


def accuracy(case: Case, start: float = math.nan) -> Course:
    """Evidence: the share that the running mean of accuracy lies below its best; keeps 10 steps before that.

    The mean starts at the first value, or at `start`: from 0 it reaches its best later, so that a lucky
    first batch is no best and a later checkpoint is kept.
    """
    begin, steps = time.process_time(), [step for step, _ in case.points]
    values = share(series(case, "accuracy_reward"), case, "accuracy_reward")
    mean, best, at, said = start, 0.0, 0, []
    for i, value in enumerate(values):
        if np.isfinite(value):
            mean = value if np.isnan(mean) else mean + EMA * (value - mean)
            if mean > best:
                best, at = mean, i
        drop = 1 - mean / best if best > 0 and i >= WARM else 0.0
        said.append((drop, int(np.searchsorted(steps, steps[at] - BACK, "right")) - 1))
    return Course(heights(said), time.process_time() - begin, len(values))


def truncation(case: Case, risen: float = 0.0) -> Course:
    """Evidence: the median share of cut completions of the last 20 points, over .15; dated in the middle of the least.

    `risen`: it must also be up by so much from its least so far.
    """
    begin, least, at = time.process_time(), np.inf, 0
    said: list[Said] = []
    for i, median in enumerate(_medians(case)):
        if not np.isfinite(median):
            said.append((0.0, 0))
            continue
        if median <= least:
            least, at = median, i - RECENT // 2  # the middle of its window
        evidence = median / CUT if not risen else min(median / CUT, (median - least) / risen)
        said.append((float(evidence), at))
    return Course(heights(said), time.process_time() - begin, len(case.points))


def _medians(case: Case) -> np.ndarray:
    """Return the median of the last 20 `clipped_ratio` at each point; infinite until there are 20."""
    values = series(case, "clipped_ratio")
    medians = np.full(len(values), np.inf)
    for i in range(RECENT - 1, len(values)):
        recent = values[i + 1 - RECENT : i + 1]
        if np.isfinite(recent).any():
            medians[i] = np.nanmedian(recent)
    return medians


def suspicion_and_truncation(case: Case) -> Course:
    """Stop where Cusp does, or where it suspects and the cut share is .15 or more, up .10 from its least.

    Cusp's own detector is in it, so it moves with it; its date is Cusp's safe step.
    """
    begin, steps = time.process_time(), [step for step, _ in case.points]
    shape = RunShape(case.completions, case.rewards, case.completion_limit)
    detector, medians, least = Detector(shape), _medians(case), np.inf
    for i, (step, metrics) in enumerate(case.points):
        verdict = detector.update(Sample(step, metrics))
        least = min(least, medians[i])
        cut = np.isfinite(medians[i]) and medians[i] >= max(CUT, least + RISEN)
        t = verdict.transition
        if is_stop(verdict) or (t and cut):
            dated = int(np.searchsorted(steps, t.safe_step if t else step, "right")) - 1
            return Course(((i, 1.0, max(dated, 0)),), time.process_time() - begin, len(steps))
    return Course((), time.process_time() - begin, len(steps))


def evaluated(case: Case, every: int, patience: int) -> Course:
    """TRL's `eval_steps` with EarlyStoppingCallback and `load_best_model_at_end` on the selection set.

    It stops after `patience` evaluations in a row that are no better than the best, and keeps the best.
    """
    steps = [step for step, _ in case.points]
    best, at, worse = -np.inf, 0, 0
    for step, score in sorted(case.selection.items()):
        if step == 0 or step % every:
            continue
        index = int(np.searchsorted(steps, step, "right")) - 1
        if score > best:
            best, at, worse = score, index, 0
        else:
            worse += 1
        if worse >= patience:
            return Course(((index, 1.0, at),), 0.0, len(steps))
    return Course((), 0.0, len(steps), kept=at if np.isfinite(best) else None)


def _evaluation(every: int, patience: int) -> Callable[[Case], Course]:
    return partial(evaluated, every=every, patience=patience)


SCORED = ("tiny", "zoo")  # grounds whose checkpoints, every 10 steps, have held-out scores
RULES = (
    Baseline("accuracy EMA", accuracy, 1 - 0.6, "below .60 of its best", calibrated=False, grounds=LOGGED),
    Baseline("accuracy EMA", accuracy, 1 - 0.45, "below .45 of its best", calibrated=False, grounds=LOGGED),
    Baseline(
        "accuracy EMA from 0", partial(accuracy, start=0.0), 1 - 0.6,
        "below .60 of its best", calibrated=False, grounds=LOGGED,
    ),
    Baseline("truncation", truncation, 1.0, "median of 20 at .15", calibrated=False, grounds=LOGGED),
    Baseline(
        "truncation", partial(truncation, risen=RISEN), 1.0,
        "median of 20 at .15, up .10", calibrated=False, grounds=LOGGED,
    ),
    Baseline(
        "Cusp's suspicion and truncation", suspicion_and_truncation, 1.0,
        "median of 20 at .15, up .10", calibrated=False, grounds=LOGGED,
    ),
    *(
        Baseline(
            "TRL eval and patience", _evaluation(every, patience), 1.0,
            f"every {every} steps, patience {patience}", calibrated=False, grounds=SCORED,
        )
        for every, patience in ((20, 3), (50, 1), (50, 3))
    ),
)  # fmt: skip
