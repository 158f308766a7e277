"""The minimum detectable difference, told before anything is scored."""

from math import sqrt

from scipy.special import ndtri

# Guesses. Share of a sample's variance that lies between problems (intraclass correlation): 1 / (a + b + 1) for
# chances that are Beta(a, b), a + b = 1; correlation of two checkpoints' chances. The zoo's runs have .1 and .15, and
# samples of one seed covary by .5 more (benchmarks/evaluation/agreement.py): at two samples a sixth less variance.
SHARED = 0.5
CORRELATION = 0.8


def detectable_difference(
    problems: int,
    samples: int,
    *,
    pass_at_1: float = 0.5,
    shared: float = SHARED,
    correlation: float = CORRELATION,
    alpha: float = 0.05,
    rows: float = 1,
    power: float = 0.8,
) -> float:
    """Return the true paired difference that is found with probability `power`, in pass@1.

    The variance of a problem's difference is 2 p (1 - p) ((1 - correlation) shared + (1 - shared) / samples): what two
    checkpoints' chances differ by does not shrink with more samples. Among `rows` Holm's first step is asked.

    >>> round(detectable_difference(300, 2), 3), round(detectable_difference(300, 16), 3)
    (0.068, 0.041)
    """
    variance = (1 - correlation) * shared + (1 - shared) / samples
    variance *= 2 * pass_at_1 * (1 - pass_at_1)
    z = float(ndtri(power) - ndtri(alpha / (2 * rows)))
    return z * sqrt(variance / problems)
