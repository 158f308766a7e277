"""Limits of each metric's evidence: none that has another likely explanation confirms alone.

format      counts in full if it was above 60 % of its range: what was never learnt wanders
accuracy    for at most `alone` = confirm - 11, unless it lost three quarters of its level: it depends on the
            prompts
length      for at most `alone`: it follows the data as much as the policy; accuracy and length together
            also (a change of the data moves both), unless accuracy lost that much. At a candidate where it
            has less than half of its own greatest evidence it does not count: a length that turned long
            ago, or grows all the time, says nothing of what happens now
truncation  (the share of completions cut at the token limit) counts from 15 % on if it rose by 10 points,
            for at most `alone`: with a length that turns at the same step that is enough
entropy     for at most `alone`, unless it more than doubled to over half a nat: a slow rise alone is common
            in runs that stay good; length and such a rise together also (longer answers have more entropy)
volatility  as format: a reward that shakes after it was learnt is the sign of the phase transition
So a second metric must add at least 11 (z = 3.3), which chance rarely gives at the same step.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.detector import constants
from monitor.detector.scan.contrast import Contrast, Sums
from monitor.detector.signal.history import Array
from monitor.detector.signal.metrics import (
    ACCURACY,
    ENTROPY,
    FORMAT,
    LENGTH,
    TRUNCATION,
    VOLATILITY,
)
from monitor.detector.signal.transform import MetricSignal

Flags = NDArray[np.bool_]


def single_metric_cap(confirm: float) -> float:
    """Return the maximum evidence of one limited metric; at a lower total no limit applies."""
    return confirm - constants.WITNESS


def lost(contrast: Contrast, sums: Sums, accuracy: MetricSignal) -> Flags:
    """Return, per candidate, whether accuracy fell to less than a third of its level."""
    found: Flags = contrast.z[ACCURACY] > 0
    if not found.any():
        return found
    origin, shares = accuracy.origin or 0.0, accuracy.scale.shares
    less = shares(sums.after(ACCURACY) + origin) < constants.LOST * shares(
        sums.before(ACCURACY) + origin
    )
    both: Flags = found & less
    return both


def learnt(sums: Sums, form: MetricSignal) -> Flags:
    """Return, per candidate, whether format had been above 60 % of its range."""
    high: Flags = form.scale.shares(sums.before(FORMAT) + (form.origin or 0.0)) > constants.LEARNT
    return high


def surged(contrast: Contrast, sums: Sums, entropy: MetricSignal) -> Flags:
    """Return, per candidate, whether entropy more than doubled to over half a nat."""
    found: Flags = (contrast.z[ENTROPY] > 0) & (contrast.difference[ENTROPY] > constants.SURGE)
    if not found.any():
        return found
    both: Flags = found & (sums.after(ENTROPY) + (entropy.origin or 0.0) > constants.SURGE_NATS)
    return both


def cut(sums: Sums, truncation: MetricSignal) -> Flags:
    """Return, per candidate, whether the truncated share rose by .10 to .15 or more."""
    origin, shares = truncation.origin or 0.0, truncation.scale.shares
    after, before = (
        shares(sums.after(TRUNCATION) + origin),
        shares(sums.before(TRUNCATION) + origin),
    )
    more: Flags = (after >= constants.CUT) & (after - before >= constants.MORE_CUT)
    return more


class FullEvidence(NamedTuple):
    """Per candidate: whether format, accuracy and entropy count in full there."""

    format: Flags
    accuracy: Flags
    entropy: Flags


def at_once(parts: Array) -> Array:
    """Return the squared contrasts without length's where most of its change was at another step.

    >>> at_once(np.array([[0.0, 0.0], [0.0, 0.0], [90.0, 20.0]]))[LENGTH].tolist()
    [90.0, 0.0]
    """
    length = parts[LENGTH]
    parts[LENGTH] = np.where(length >= constants.AT_ONCE * length.max(), length, 0.0)
    return parts


def weighed(parts: Array, full: FullEvidence, confirm: float) -> Array:
    """Return the squared contrasts (metrics x candidates) after the limits above.

    >>> parts = np.array([[0.0], [20.0], [90.0], [0.0], [0.0], [0.0]])
    >>> no, yes = np.array([False]), np.array([True])
    >>> weighed(parts, FullEvidence(no, no, no), 36.0).sum().item()
    25.0
    >>> weighed(parts, FullEvidence(no, yes, no), 36.0).sum().item()
    45.0
    """
    alone = single_metric_cap(confirm)
    form = np.where(full.format, parts[FORMAT], np.minimum(parts[FORMAT], alone))
    accuracy = np.where(full.accuracy, parts[ACCURACY], np.minimum(parts[ACCURACY], alone))
    room = np.where(full.accuracy, alone, alone - accuracy)
    length = np.minimum(parts[LENGTH], room)
    entropy = np.where(full.entropy, parts[ENTROPY], np.minimum(parts[ENTROPY], alone - length))
    truncation = np.minimum(parts[TRUNCATION], alone)
    left = np.where(full.format, np.inf, alone - form)
    volatility = np.minimum(parts[VOLATILITY], left)
    return np.array([form, accuracy, length, entropy, truncation, volatility])


def balanced(parts: Array, confirm: float) -> Array:
    """Return squared contrasts for dating: limited by scaling, which keeps their shape over candidates.

    Entropy rises before the rest breaks; it dates only as far as the others do not.
    """
    alone = single_metric_cap(confirm)
    others = float(np.delete(parts, ENTROPY, axis=0).sum(axis=0).max())
    entropy = others / 2 if others >= constants.WITNESS else alone
    most = np.array([np.inf, np.inf, alone, entropy, alone, np.inf])
    top = np.maximum(parts.max(axis=1), 1e-12)
    scaled: Array = parts * np.minimum(1.0, most / top)[:, None]
    return scaled
