"""ADWIN (Bifet, Gavalda 2007): a window that shrinks where two parts of it differ."""

import math

import numpy as np

from benchmarks.detector.baselines.method import Said

DELTAS = (2e-3, 1e-4, 1e-6, 1e-9, 1e-14)


class Adwin:
    """Adaptive window (exponential histogram, 5 buckets a row); fires when a cut goes the bad way."""

    def __init__(self, delta: float) -> None:
        self.delta, self.now = delta, -1
        self.windows: list[_Window] = []

    def update(self, good: np.ndarray, stable: np.ndarray) -> Said:
        self.now += 1
        if not self.windows:
            self.windows = [_Window(self.delta) for _ in good]
        cut = None
        for window, value in zip(self.windows, good.tolist(), strict=True):
            if value == value and window.add(value):
                cut = self.now - window.width
        return (0.0, 0) if cut is None else (1.0, cut)


class _Window:
    def __init__(self, delta: float) -> None:
        self.delta, self.width, self.seen = delta, 0, 0
        self.rows: list[list[tuple[int, float]]] = [[]]  # buckets: count and sum of values
        self.total = self.squares = 0.0  # of deviations from 0; the variance is taken from both

    def add(self, value: float) -> bool:
        """Take a value; return whether older ones were dropped because the mean fell."""
        self.rows[0].append((1, value))
        self.width, self.seen = self.width + 1, self.seen + 1
        self.total, self.squares = self.total + value, self.squares + value * value
        for level, row in enumerate(self.rows):
            if len(row) <= 5:
                break
            (n, a), (m, b) = row.pop(0), row.pop(0)
            if level + 1 == len(self.rows):
                self.rows.append([])
            self.rows[level + 1].append((n + m, a + b))
        return self.seen % 32 == 0 and self.width > 10 and self._shrink()

    def _shrink(self) -> bool:
        fell, again = False, True
        while again and self.width > 10:
            again, mean = False, self.total / self.width
            variance = max(self.squares / self.width - mean * mean, 0.0)
            level = math.log(2 * math.log(max(self.width, 2)) / self.delta)
            n, left = 0, 0.0
            for count, value in (b for row in reversed(self.rows) for b in row):
                n, left = n + count, left + value
                rest = self.width - n
                if n < 5 or rest < 5:
                    continue
                m = 1 / (1 / (n - 4) + 1 / (rest - 4))
                limit = math.sqrt(2 / m * variance * level) + 2 / (3 * m) * level
                difference = (self.total - left) / rest - left / n
                if abs(difference) > limit:
                    fell, again = fell or difference < 0, True
                    self._drop()
                    break
        return fell

    def _drop(self) -> None:
        count, value = self.rows[-1].pop(0)
        mean = self.squares / self.width
        self.width, self.total = self.width - count, self.total - value
        self.squares = max(self.squares - count * mean, 0.0)
        while len(self.rows) > 1 and not self.rows[-1]:
            self.rows.pop()
