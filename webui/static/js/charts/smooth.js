// The causal average of a metric: series.py:smoothed, where a gap between points weighs as the steps it skips.

// The weight of a value that comes `gap` steps after the one before; `stride` steps are usual.
const share = (weight, gap, stride) => (weight >= 1 ? 1 : 1 - (1 - weight) ** Math.max(1e-9, gap / stride));

export class Average {
  constructor(weight, stride) {
    Object.assign(this, { weight, stride, total: 0, norm: 0, step: null });
  }

  // Goes on from an average that was drawn: `count` points, the last at `step`.
  static resumed(weight, stride, value, count, step) {
    const norm = 1 - (1 - weight) ** count;
    return Object.assign(new Average(weight, stride), { total: (value ?? 0) * norm, norm, step });
  }

  next(step, value) {
    const gap = this.step === null ? this.stride : step - this.step;
    const w = share(this.weight, gap, this.stride);
    this.total = (1 - w) * this.total + w * value;
    this.norm = (1 - w) * this.norm + w;
    this.step = step;
    return this.total / this.norm;
  }
}
