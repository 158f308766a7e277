"""A verification in one line, for the terminal."""

from statistics import fmean

from cusp.trl.verifying.held_out import Score, Scored
from cusp.verification.sequential import Comparison, sequential_test

_WORDS = {"worse": "worse", "not_worse": "not worse", "undecided": "undecided"}


def line(step: int, scored: Scored, alpha: float) -> str:
    """Return what a verification found: now against the best of the earlier checkpoints.

    >>> right, wrong = [1.0] * 40, [1.0] * 10 + [0.0] * 30
    >>> line(87, Scored({87: wrong, 60: right}, 80), 0.01)
    'verification at step 87: 40 problems, now .25 against 1.00 of step 60 (-.75, -.89 to -.61): worse'
    """
    earlier = {of: values for of, values in scored.scores.items() if of != step}
    test = sequential_test(scored.scores[step], earlier, alpha=alpha)
    best = min(test.comparisons, key=lambda each: each.difference)
    return (
        f"verification at step {step}: {best.problems} problems,"
        f" now {short(_mean(scored.scores[step]))} against {short(_mean(earlier[best.step]))} of step"
        f" {best.step} ({_interval(best)}): {_WORDS[test.outcome]}"
    )


def short(number: float) -> str:
    """Return a share with two digits and without its zero.

    >>> short(0.412), short(-0.2), short(1)
    ('.41', '-.20', '1.00')
    """
    return f"{number:.2f}".replace("0.", ".", 1) if abs(number) < 0.995 else f"{number:.2f}"


def _interval(found: Comparison) -> str:
    return f"{short(found.difference)}, {short(found.low)} to {short(found.high)}"


def _mean(scores: list[Score]) -> float:
    decided = [score for score in scores if score is not None]
    return fmean(decided) if decided else 0.0
