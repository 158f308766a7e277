"""A detector of one's own, for `python -m benchmarks.detector.score docs/examples/my_detector.py`."""


class Detector:
    """Suspects when the running mean of accuracy falls below .8 of its best, stops below .6."""

    def __init__(self, run):
        self.mean, self.best, self.safe_step = 0.0, 0.0, 0  # run.completions, run.limit, ...

    def update(self, step, metrics):
        value = metrics.get("accuracy_reward")
        if value is None:
            return None
        self.mean += 0.08 * (value - self.mean)
        if self.mean > self.best:
            self.best, self.safe_step = self.mean, step - 10
        drop = self.mean / self.best if self.best > 0 and step > 30 else 1.0
        return "stop" if drop < 0.6 else "suspect" if drop < 0.8 else None
