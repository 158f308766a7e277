"""Sentences on a run without a transition: missing metrics, and plain facts of the step.

Cusp looks for the transition only; that it sees none does not mean that the training goes well. So nothing
is called steady, healthy or rising here, and each sentence names its step.
"""

from collections.abc import Mapping, Sequence

from monitor.detector import constants
from monitor.detector.explain import joined
from monitor.detector.signal.metrics import ACCURACY, ENTROPY, FORMAT, LENGTH, METRICS, measured

LOOKED_AT = (FORMAT, ACCURACY, LENGTH, ENTROPY)
# Levels from which a fact is mentioned, by judgement: they change a sentence, never a verdict.
_CUT = 0.5  # share of clipped completions
_NO_ENTROPY = 0.02  # nats
_NO_GRADIENT = 0.5  # share of groups with equal rewards


class LastMeasured:
    """Remembers the last step at which each metric was measured.

    >>> last = LastMeasured()
    >>> for step in range(1, 40):
    ...     last.add(step, [0.5 if step < 10 else None, None, 60.0, None, None])
    >>> last.missing()
    'Not measured: accuracy reward and entropy. Format reward was last measured at step 9.'
    """

    def __init__(self) -> None:
        self._points = 0
        self._at: dict[int, tuple[int, int]] = {}  # row: (point, step)

    def add(self, step: int, raws: Sequence[float | None]) -> None:
        """Add the values of a step, in the order of METRICS."""
        self._points += 1
        for row in LOOKED_AT:
            if raws[row] is not None:
                self._at[row] = (self._points, step)

    def ended_at(self, row: int) -> int | None:
        """Return the last step of a metric not measured for `constants.LEVEL` points, else None."""
        point, step = self._at.get(row, (self._points, 0))
        return step if self._points - point >= constants.LEVEL else None

    def anything(self) -> bool:
        """Return whether any metric of `LOOKED_AT` was ever measured."""
        return bool(self._at)

    def missing(self) -> str:
        """Return sentences on the metrics not measured, or no longer; "" if there are none."""
        never = [METRICS[row].label for row in LOOKED_AT if row not in self._at]
        said = [f"Not measured: {joined(never)}."] if never else []
        for row in LOOKED_AT:
            if (step := self.ended_at(row)) is not None:
                label = METRICS[row].label
                said.append(f"{label[0].upper()}{label[1:]} was last measured at step {step}.")
        return " ".join(said)


def none_seen(
    step: int, score: float, confirm: float, last: LastMeasured, high_at: int | None
) -> str:
    """Return the sentence that no transition is seen, with the evidence.

    `high_at` is the step since which format has not been clearly higher, None if unknown.
    """
    if not last.anything():
        return f"By step {step} nothing was measured that could show a transition."
    said = (
        f"By step {step} no transition is seen: evidence {score:.0f}, confirmed at {confirm:.0f}."
    )
    if high_at is not None and high_at < step and last.ended_at(FORMAT) is None:
        said += f" Format reward has not been clearly higher since step {high_at}."
    return said


def no_rewards(step: int) -> str:
    """Return the sentence on supervised training, in which none of what is missing is a fault."""
    return (
        f"By step {step} a loss is logged and no rewards, so there is no format transition to see."
    )


def too_few(step: int, points: int, needed: int, since: str) -> str:
    """Return the sentence that more points are needed; `since` says since when they are counted, or ""."""
    counted = "1 point" if points == 1 else f"{points} points"
    return f"{counted}{since} by step {step}; {needed} are needed to say anything of a transition."


def cautions(step: int, metrics: Mapping[str, float]) -> str:
    """Return a sentence on clipping, entropy and missing gradient at the step, or "".

    >>> cautions(9, {"clipped_ratio": 1.0, "entropy": 0.009, "frac_reward_zero_std": 0.75})
    'But at step 9: 100 % of the completions are cut off, entropy is 0.009 and 75 % of the groups give no gradient.'
    """
    found = []
    clipped, entropy = measured(metrics, "clipped_ratio"), measured(metrics, "entropy")
    spread, alike = measured(metrics, "reward_std"), measured(metrics, "frac_reward_zero_std")
    if clipped is not None and clipped >= _CUT:
        found.append(f"{100 * min(clipped, 1.0):.0f} % of the completions are cut off")
    if entropy is not None and entropy < _NO_ENTROPY:
        found.append(f"entropy is {entropy:.3f}")
    if alike is not None and alike >= _NO_GRADIENT:
        found.append(f"{100 * min(alike, 1.0):.0f} % of the groups give no gradient")
    elif spread is not None and spread <= 0:
        found.append("all rewards are equal, which gives no gradient")
    return f"But at step {step}: {joined(found)}." if found else ""
