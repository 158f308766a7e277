// Keeps what a tab holds of a long run bounded: of each stretch of steps the least and the greatest value stay, so
// no peak is lost. A zoom reads what was left out from the monitor.
export const MOST = 4_000; // points of a line in the large charts, twice what a page begins with
export const MOST_SMALL = 1_200;

// Places of at most half of `most` of these points, and of those within `zoom` (two steps) all up to MOST.
//
// The stretches are 2^n steps long and begin at multiples of that: what was thinned before loses nothing when it is
// thinned again, until the run has become twice as long. By counts of points its past would be halved each time.
// Of the nulls of a stretch, where a level confirms nothing, the first stays (three quarters of `most` at worst).
export function places(steps, values, most, zoom = null) {
  const kept = new Set([0, steps.length - 1]);
  const [from, to] = zoom ? within(steps, zoom) : [0, 0];
  const width = stretch(steps.at(-1) - steps[0], most);
  thin(steps, values, 0, from, width, kept);
  if (to - from > MOST) thin(steps, values, from, to, stretch(steps[to - 1] - steps[from], MOST), kept);
  else for (let i = from; i < to; i++) kept.add(i);
  thin(steps, values, to, steps.length, width, kept);
  return [...kept].sort((a, b) => a - b);
}

// How many steps a stretch has, so that they are a quarter of `most` at most.
function stretch(span, most) {
  let width = 1;
  while (span / width > most / 4 - 1) width *= 2;
  return width;
}

function within(steps, [first, last]) {
  const [from, to] = [steps.findIndex((step) => step >= first), steps.findIndex((step) => step > last)];
  const end = to < 0 ? steps.length : to;
  return [from < 0 ? end : from, end];
}

function thin(steps, values, from, to, width, kept) {
  for (let start = from; start < to; ) {
    const number = Math.floor(steps[start] / width);
    let [least, greatest, nothing, i] = [null, null, null, start];
    for (; i < to && Math.floor(steps[i] / width) === number; i++) {
      if (values[i] === null) nothing ??= i;
      else {
        if (least === null || values[i] < values[least]) least = i;
        if (greatest === null || values[i] > values[greatest]) greatest = i;
      }
    }
    for (const place of [least, greatest, nothing]) if (place !== null) kept.add(place);
    start = i;
  }
}

// Leaves the points at these places of a trace.
export function leave(trace, kept) {
  trace.x = kept.map((i) => trace.x[i]);
  trace.y = kept.map((i) => trace.y[i]);
}
