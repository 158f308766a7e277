"""Change-point methods written from their papers: PELT re-run, FOCuS, BOCPD.

PELT: least squares over format and length in noise units, re-run every 10 points on the last 300 by
ruptures' KernelCPD (linear kernel: the same cost and the same exact optimum as Pelt(model="l2", jump=1),
which takes 0.5 s at 500 points and 12 s at 2,000 and so cannot be re-run online). FOCuS: its statistic
(the greatest CUSUM over all start points), computed directly over the last 2,000 points instead of by
its pruned recursion: same value, more work.

References: Killick, Fearnhead, Eckley 2012 (PELT); Adams, MacKay 2007 (BOCPD); Romano, Eckley,
Fearnhead, Rigaill 2023 (FOCuS).
"""

import math

import numpy as np
import ruptures

from benchmarks.detector.baselines.evidence import bad, noise
from benchmarks.detector.baselines.method import Said


class _Scaled:
    """Base of the methods that need noise units: sd from second differences of the first 40 points."""

    def __init__(self) -> None:
        self.values: list[np.ndarray] = []
        self.sd: np.ndarray | None = None

    def push(self, stable: np.ndarray) -> bool:
        """Remember a point (a missing value repeats the last); return whether the noise is known."""
        last = self.values[-1] if self.values else np.zeros(len(stable))
        self.values.append(np.where(np.isfinite(stable), stable, last))
        if self.sd is None and len(self.values) >= 40:
            self.sd = noise(np.array(self.values))
        return self.sd is not None


class PeltRerun(_Scaled):
    """Least-squares segmentation re-run every 10 points; evidence of its worst bad change."""

    said: Said = (0.0, 0)

    def update(self, good: np.ndarray, stable: np.ndarray) -> Said:
        n = len(self.values) + 1
        if not self.push(stable) or n < 60:
            return 0.0, 0
        if n % 10 == 0:
            window = np.array(self.values[-300:]) / self.sd
            model = ruptures.KernelCPD(kernel="linear", min_size=8).fit(window)
            ends = [0, *model.predict(pen=2 * window.shape[1] * math.log(len(window)))]
            triples = zip(ends, ends[1:], ends[2:], strict=False)
            self.said = max(
                (bad(window, a, b, c, n - len(window)) for a, b, c in triples), default=(0.0, 0)
            )
        return self.said


class Focus(_Scaled):
    """The greatest one-sided CUSUM of any metric over all start points of the last 2,000."""

    def update(self, good: np.ndarray, stable: np.ndarray) -> Said:
        if not self.push(stable):
            return 0.0, 0
        if len(self.values) == 40:
            self.sums = np.zeros((4096, len(stable)))
            self.sums[1:41] = np.cumsum(np.array(self.values) / self.sd, 0)
        n = len(self.values)
        if n + 1 > len(self.sums):
            self.sums = np.concatenate([self.sums, np.zeros_like(self.sums)])
        self.sums[n] = self.sums[n - 1] + self.values[-1] / self.sd
        first = max(0, n - 2000)
        at = np.arange(first + 1, n)
        before = (self.sums[at] - self.sums[first]) / (at - first)[:, None]
        after = (self.sums[n] - self.sums[at]) / (n - at)[:, None]
        z = np.maximum(before - after, 0) * np.sqrt((at - first) * (n - at) / (n - first))[:, None]
        k = int(np.argmax(z.max(1)))
        return float(z[k].max() ** 2), int(at[k]) - 1


class Bocpd(_Scaled):
    """Run-length posterior (normal-inverse-gamma, hazard 1/250); evidence that a bad segment began."""

    def update(self, good: np.ndarray, stable: np.ndarray) -> Said:
        if not self.push(stable):
            return 0.0, 0
        n, x = len(self.values), self.values[-1] / self.sd
        if n == 40:
            self.log_p, k = np.zeros(1), len(x)
            self.mean, self.kappa = x[None].copy(), np.full(1, 0.05)
            self.alpha, self.beta = np.full(1, 1.0), np.ones((1, k))
            self.lg = np.array([math.lgamma(i / 2) for i in range(1, 2200)])
        scale = self.beta * ((self.kappa + 1) / (self.alpha * self.kappa))[:, None]
        freedom = 2 * self.alpha
        i = (freedom - 1).astype(int)
        log = (self.lg[i + 1] - self.lg[i])[:, None] - 0.5 * np.log(
            np.pi * freedom[:, None] * scale
        )
        t = (x - self.mean) ** 2 / (freedom[:, None] * scale)
        grown = self.log_p + (log - (freedom[:, None] + 1) / 2 * np.log1p(t)).sum(1)
        new = np.concatenate(
            [[np.logaddexp.reduce(grown) - math.log(250)], grown + math.log(249 / 250)]
        )
        self.log_p = (new - np.logaddexp.reduce(new))[:400]
        self._learn(x)
        return self._evidence(n)

    def _learn(self, x: np.ndarray) -> None:
        k = self.kappa[:, None]
        beta = self.beta + k * (x - self.mean) ** 2 / (2 * (k + 1))
        mean = (k * self.mean + x) / (k + 1)
        self.mean = np.vstack([x[None], mean])[:400]
        self.beta = np.vstack([np.ones((1, len(x))), beta])[:400]
        self.kappa = np.concatenate([[0.05], self.kappa + 1])[:400]
        self.alpha = np.concatenate([[1.0], self.alpha + 0.5])[:400]

    def _evidence(self, n: int) -> Said:
        p = np.exp(self.log_p)
        run = int(p.argmax())
        if run < 3 or run > 200 or n - run < 40:
            return 0.0, 0
        recent = np.array(self.values[max(0, n - run - 60) :]) / self.sd
        before, after = recent[:-run], recent[-run:]
        z = (before.mean(0) - after.mean(0)) / (before.std(0) + 0.3) * math.sqrt(run)
        if z.max() < -z.min():
            return 0.0, 0
        sure = -math.log(max(1e-16, 1 - min(1.0, float(p[3:201].sum()))))
        return sure + float(z.max()), n - run - 1
