"""Limits of each metric's evidence: none that has another likely explanation confirms alone.

format      counts in full if it was above 60 % of its range: what was never learnt wanders
accuracy    for at most `alone` = confirm - 11, unless it lost two thirds of its level: it depends
            on the prompts
length      for at most `alone`: it follows the data as much as the policy; accuracy and length
            together also (a change of the data moves both), unless accuracy lost that much
entropy     for at most `alone`, unless it more than doubled to over half a nat: a slow rise alone is
            common in runs that stay good; length and such a rise together also (longer answers have
            more entropy, and where neither format nor accuracy suffers they do no harm)
volatility  as format: a reward that shakes after it was learnt is the sign of the phase transition
So a second metric must add at least 11 (z = 3.3), which chance rarely gives at the same step.

Without all of these limits 62 of the zoo's 70 losing runs would be stopped instead of 50, but also 5 of
the 51 healthy ones instead of none.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.detector.scan.contrast import Contrast, Sums
from monitor.detector.signal.history import Array
from monitor.detector.signal.metrics import ACCURACY, ENTROPY, FORMAT, LENGTH, VOLATILITY
from monitor.detector.signal.transform import MetricSignal

# Of format's range; without it 6 of 480 null runs were stopped, not 1 (calibration seeds).
_LEARNT = 0.6
_LOST = 1 / 3  # of accuracy's level left; 1/4 to 2/5 give the same on the zoo (decision 0006)
_SURGE = math.log(2.0)  # by judgement, on two public runs (rasbt 7-6, and its conditional reward)
_SURGE_NATS = math.log(0.5)  # as `_SURGE`
_WITNESS = 11.0  # with 6, a turned length was confirmed by the next wobble (doc, "No witness ...")
_ENTROPY_DATES_BELOW = 6.0  # by judgement
Flags = NDArray[np.bool_]


def single_metric_cap(confirm: float) -> float:
    """Return the maximum evidence of one limited metric; at a lower total no limit applies."""
    return confirm - _WITNESS


def lost(contrast: Contrast, sums: Sums, accuracy: MetricSignal) -> Flags:
    """Return, per candidate, whether accuracy fell to less than a third of its level."""
    found: Flags = contrast.z[ACCURACY] > 0
    if not found.any():
        return found
    origin, shares = accuracy.origin or 0.0, accuracy.scale.shares
    less = shares(sums.after(ACCURACY) + origin) < _LOST * shares(sums.before(ACCURACY) + origin)
    both: Flags = found & less
    return both


def learnt(sums: Sums, form: MetricSignal) -> Flags:
    """Return, per candidate, whether format had been above 60 % of its range."""
    high: Flags = form.scale.shares(sums.before(FORMAT) + (form.origin or 0.0)) > _LEARNT
    return high


def surged(contrast: Contrast, sums: Sums, entropy: MetricSignal) -> Flags:
    """Return, per candidate, whether entropy more than doubled to over half a nat."""
    found: Flags = (contrast.z[ENTROPY] > 0) & (contrast.difference[ENTROPY] > _SURGE)
    if not found.any():
        return found
    both: Flags = found & (sums.after(ENTROPY) + (entropy.origin or 0.0) > _SURGE_NATS)
    return both


class FullEvidence(NamedTuple):
    """Per candidate: whether format, accuracy and entropy count in full there."""

    format: Flags
    accuracy: Flags
    entropy: Flags


def weighed(parts: Array, full: FullEvidence, confirm: float) -> Array:
    """Return the squared contrasts (metrics x candidates) after the limits above.

    >>> parts = np.array([[0.0], [20.0], [90.0], [0.0], [0.0]])
    >>> no, yes = np.array([False]), np.array([True])
    >>> weighed(parts, FullEvidence(no, no, no), 33.0).sum().item()
    22.0
    >>> weighed(parts, FullEvidence(no, yes, no), 33.0).sum().item()
    42.0
    """
    alone = single_metric_cap(confirm)
    form = np.where(full.format, parts[FORMAT], np.minimum(parts[FORMAT], alone))
    accuracy = np.where(full.accuracy, parts[ACCURACY], np.minimum(parts[ACCURACY], alone))
    room = np.where(full.accuracy, alone, alone - accuracy)
    length = np.minimum(parts[LENGTH], room)
    entropy = np.where(full.entropy, parts[ENTROPY], np.minimum(parts[ENTROPY], alone - length))
    left = np.where(full.format, np.inf, alone - form)
    volatility = np.minimum(parts[VOLATILITY], left)
    return np.array([form, accuracy, length, entropy, volatility])


def balanced(parts: Array, confirm: float) -> Array:
    """Return squared contrasts for dating: limited by scaling, which keeps their shape over candidates.

    Entropy rises before the rest breaks; it dates only as far as the others do not.
    """
    alone = single_metric_cap(confirm)
    others = float(np.delete(parts, ENTROPY, axis=0).sum(axis=0).max())
    entropy = others / 2 if others >= _ENTROPY_DATES_BELOW else alone
    most = np.array([np.inf, np.inf, alone, entropy, np.inf])
    top = np.maximum(parts.max(axis=1), 1e-12)
    scaled: Array = parts * np.minimum(1.0, most / top)[:, None]
    return scaled
