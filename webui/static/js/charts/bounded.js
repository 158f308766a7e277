// Keeps what a tab holds of a long run bounded, as the server does (webui/charts/series.py:places): of each stretch
// the least and the greatest value stay, so no peak is lost. A zoom reads what was left out from the monitor.
export const MOST = 4_000; // points of a line in the large charts, twice what a page begins with
export const MOST_SMALL = 1_200;

// Places of about half of `most` values; null, where a level confirms nothing, stays at the ends of its stretch.
export function places(values, most) {
  const stretch = Math.ceil((4 * values.length) / most);
  const kept = new Set([0, values.length - 1]);
  for (let from = 0; from < values.length; from += stretch) {
    const to = Math.min(from + stretch, values.length);
    let [least, greatest, nothing] = [from, from, false];
    for (let i = from; i < to; i++) {
      if (values[i] === null) nothing = true;
      else if (values[least] === null || values[i] < values[least]) least = i;
      if (values[i] !== null && (values[greatest] === null || values[i] > values[greatest])) greatest = i;
    }
    kept.add(least).add(greatest);
    if (nothing) kept.add(from).add(to - 1);
  }
  return [...kept].sort((a, b) => a - b);
}

// Leaves the points at these places of a trace.
export function leave(trace, kept) {
  trace.x = kept.map((i) => trace.x[i]);
  trace.y = kept.map((i) => trace.y[i]);
}
