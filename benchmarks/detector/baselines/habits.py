"""Habits of people and the oldest sequential test: patience, distance from the best, Page-Hinkley."""

import math

import numpy as np
from numpy.typing import NDArray

from benchmarks.detector.baselines.method import WARM, Said


class Patience:
    """Early stopping: points since the running mean of the rewards (EMA .1) was best by .002."""

    def __init__(self) -> None:
        self.mean, self.best, self.at, self.now = math.nan, -math.inf, 0, -1

    def update(self, good: np.ndarray, stable: np.ndarray) -> Said:
        self.now += 1
        reward = np.nanmean(np.delete(good, 1)) if np.isfinite(np.delete(good, 1)).any() else np.nan
        if math.isfinite(reward):
            old = reward if math.isnan(self.mean) else self.mean
            self.mean = old + 0.1 * (reward - old)
            if self.mean > self.best + 0.002:
                self.best, self.at = self.mean, self.now
        return float(self.now - self.at), self.at


class EmaDrop:
    """The dashboard habit: how far the running mean (EMA .1) of any metric is off its best."""

    def __init__(self) -> None:
        self.mean = self.best = np.zeros(0)
        self.at: NDArray[np.int_] = np.zeros(0, int)
        self.now = -1

    def update(self, good: np.ndarray, stable: np.ndarray) -> Said:
        self.now += 1
        if self.now == 0:
            self.mean, self.at = good.copy(), np.zeros(len(good), int)
            self.best = np.full(len(good), -np.inf)
        fresh = np.where(np.isnan(self.mean), good, self.mean)
        self.mean = np.where(np.isfinite(good), fresh + 0.1 * (good - fresh), fresh)
        if self.now < WARM:
            return 0.0, 0
        better = ~(self.mean <= self.best) & np.isfinite(self.mean)
        self.best, self.at = (
            np.where(better, self.mean, self.best),
            np.where(better, self.now, self.at),
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            drop = np.nan_to_num(1 - self.mean / self.best, nan=0.0, posinf=0.0, neginf=0.0)
        k = int(np.argmax(drop))
        return float(drop[k]), int(self.at[k])


class PageHinkley:
    """Cumulated shortfall below the mean so far, delta .005, of any metric."""

    def __init__(self) -> None:
        self.total = self.count = self.sum = np.zeros(0)
        self.at: NDArray[np.int_] = np.zeros(0, int)
        self.now = -1

    def update(self, good: np.ndarray, stable: np.ndarray) -> Said:
        self.now += 1
        if self.now == 0:
            self.total, self.count = np.zeros(len(good)), np.zeros(len(good))
            self.sum, self.at = np.zeros(len(good)), np.zeros(len(good), int)
        there = np.isfinite(good)
        self.total, self.count = self.total + np.where(there, good, 0), self.count + there
        short = self.total / np.maximum(self.count, 1) - np.where(there, good, 0) - 0.005
        if self.now < WARM:
            return 0.0, 0
        self.sum = np.maximum(0, 0.9999 * self.sum + np.where(there, short, 0))
        self.at = np.where(self.sum == 0, self.now, self.at)
        k = int(np.argmax(self.sum))
        return float(self.sum[k]), int(self.at[k])
