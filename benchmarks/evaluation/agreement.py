"""What `planning.py` guesses, measured on the zoo's stored scores: how problems and checkpoints vary together.

python -m benchmarks.evaluation.agreement

*shared*: covariance of two samples of a problem over p (1 - p), the share of the variance that lies between problems.
*correlation*: of the chances of two checkpoints of a run that differ by less than 5 points, by samples of different
seeds. *seeds*: what samples of one seed covary by beyond that, over p (1 - p). Every third checkpoint with pass@1 of
.15 to .9 on the report set.
"""

from itertools import combinations

import numpy as np
import numpy.typing as npt

from benchmarks.zoo import storage

Samples = npt.NDArray[np.float64]
NEAR, SCORES = 0.05, (0.15, 0.9)


def covariance(first: Samples, second: Samples) -> float:
    """Return the covariance over problems."""
    return float(np.cov(first, second)[0, 1])


def main() -> None:
    """Print the three numbers."""
    shared: list[float] = []
    apart, within, same = [], [], []
    runs = [case.problems["report"] for case in storage.load("head32") if case.problems]
    for bits in runs:
        scores = {step: bits[step].astype(float) for step in sorted(bits)[1::3]}
        scores = {s: one for s, one in scores.items() if SCORES[0] < one.mean() < SCORES[1]}
        for one in scores.values():
            shared.append(covariance(one[:, 0], one[:, 1]) / (one.mean() * (1 - one.mean())))
        for a, b in combinations(scores.values(), 2):
            if abs(a.mean() - b.mean()) >= NEAR:
                continue
            other = (covariance(a[:, 0], b[:, 1]) + covariance(a[:, 1], b[:, 0])) / 2
            seed = (covariance(a[:, 0], b[:, 0]) + covariance(a[:, 1], b[:, 1])) / 2
            apart.append(other)
            within.append((covariance(a[:, 0], a[:, 1]) + covariance(b[:, 0], b[:, 1])) / 2)
            same.append((seed - other) / (a.mean() * (1 - a.mean())))
    print(
        f"{len(runs)} runs, {len(apart)} pairs: shared {np.median(shared):.2f}, correlation"
        f" {sum(apart) / sum(within):.2f}, seeds {np.mean(same):.2f}"
    )


if __name__ == "__main__":
    main()
