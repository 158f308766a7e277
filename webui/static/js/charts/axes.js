// The x axes: steps, or what had been reached by a step: hours, tokens, epochs. Charts hold steps; a step is
// placed between the points that are known, and beyond the last one by the pace of the last few.
import { MOST, places } from "./bounded.js";

const SHOWN = {
  step: { title: "step", hover: "step %{x}", tickformat: ",d" },
  time: { title: "hours since the start", hover: "%{x:.4~g} h", tickformat: "~g" },
  tokens: { title: "tokens", hover: "%{x:.4~s} tokens", tickformat: "~s" },
  epoch: { title: "epoch", hover: "epoch %{x:.4~g}", tickformat: "~g" },
};
const PACE = 20; // points

// `known` is {name: {steps, values}}, both rising.
export class Axes {
  constructor(known) {
    this.known = known;
  }

  has(name) {
    return name === "step" || (this.known[name]?.steps.length || 0) > 1;
  }

  of(name) {
    const known = this.has(name) ? name : "step";
    if (known === "step") return { ...SHOWN.step, to: (step) => step, from: (x) => x };
    const { steps, values } = this.known[known];
    return { ...SHOWN[known], to: between(steps, values), from: between(values, steps) };
  }

  // A live point brings the next value of what is logged (tokens, epoch); time goes on at its pace.
  add(step, metrics) {
    for (const name of ["tokens", "epoch"]) {
      const [one, value] = [this.known[name], metrics[name]];
      if (!one || typeof value !== "number" || step <= one.steps.at(-1) || value < one.values.at(-1)) continue;
      one.steps.push(step);
      one.values.push(value);
      if (one.steps.length <= MOST) continue;
      const kept = places(one.steps, one.values, MOST);
      Object.assign(one, { steps: kept.map((i) => one.steps[i]), values: kept.map((i) => one.values[i]) });
    }
  }
}

function between(from, to) {
  const last = from.length - 1;
  return (at) => {
    if (typeof at !== "number") return at;
    let [low, high] = [0, last];
    if (at >= from[last]) low = Math.max(0, last - PACE);
    else if (at <= from[0]) high = Math.min(last, PACE);
    else {
      while (high - low > 1) {
        const middle = (low + high) >> 1;
        if (from[middle] <= at) low = middle;
        else high = middle;
      }
      return line(at, from[low], from[high], to[low], to[high]);
    }
    return line(at, from[low], from[high], to[low], to[high]);
  };
}

const line = (at, x0, x1, y0, y1) => (x1 === x0 ? y1 : y0 + ((at - x0) / (x1 - x0)) * (y1 - y0));
