"""Selects the earlier checkpoints that a verification compares the weights of now with. Pure."""

from collections.abc import Iterator, Mapping, Sequence

from cusp.verification.sequential import Scores
from monitor.detector import Transition
from monitor.policy.candidates import accuracy_peak
from monitor.policy.decide import Saved, before
from monitor.policy.known_scores import best, enough

EARLIER = 3  # a fourth gained nothing on the zoo


def earlier(
    transition: Transition | None,
    saved: Sequence[Saved],
    accuracy: Mapping[int, float],
    known: Mapping[int, Scores] | None = None,
    most: int = EARLIER,
) -> list[Saved]:
    """Return the checkpoints that now is compared with, by step, at most `most`.

    The last one that is held to be safe (without a transition: the last one), the peak of the training accuracy, the
    one with the best known score, and further back from the safe one at half of its step, and half of that again:
    held-out scores may sink long before the signals turn.
    """
    newest = {one.step: one for one in saved}  # a resumed attempt's checkpoint replaces the older
    steps = sorted(newest)
    if not steps:
        return []
    safe = before(transition, saved) if transition else None
    anchor = safe.step if safe else (steps[0] if transition else steps[-1])
    wanted = [anchor, accuracy_peak(steps, accuracy), _best_known(newest, known or {})]
    wanted += [*_halves(steps, anchor), *reversed(steps)]
    chosen = list(dict.fromkeys(step for step in wanted if step is not None))[:most]
    return [newest[step] for step in sorted(chosen)]


def _best_known(newest: Mapping[int, Saved], known: Mapping[int, Scores]) -> int | None:
    scores = enough({step: each for step, each in known.items() if step in newest})
    return best(scores) if scores else None


def _halves(steps: Sequence[int], step: int) -> Iterator[int]:
    """Yield the checkpoint nearest to half of the step, to half of that, and so on; the earlier of two.

    >>> list(_halves([10, 20, 30, 40], 40))
    [20, 10]
    """
    while step > steps[0]:
        half = step / 2
        step = min(steps, key=lambda one: (abs(one - half), one))
        yield step
