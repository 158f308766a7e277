// What a person set for all charts of a run's page: x axis, smoothing, raw values, log y, zoom, which other
// metrics. It stands in the address, so that a link shows what its sender saw. Axis, smoothing and scale are held for
// the next run that is opened without any of it in the address.
const DEFAULTS = { x: "step", smooth: null, raw: true, log: false, zoom: null, metrics: null };
const OF_ANY_RUN = ["x", "smooth", "raw", "log"];
const PLACE = "cusp-charts"; // in localStorage

export class View {
  constructor(search = location.search) {
    this.told = new Set();
    const asked = new URLSearchParams(search);
    const told = Object.keys(DEFAULTS).some((key) => asked.has(key));
    Object.assign(this, DEFAULTS, read(told ? asked : held()));
    if (!told) this.write();
  }

  on(tell) {
    this.told.add(tell);
  }

  // Sets some of it; charts and controls hear what changed.
  set(change) {
    const changed = Object.keys(change).filter((key) => JSON.stringify(this[key]) !== JSON.stringify(change[key]));
    if (!changed.length) return;
    Object.assign(this, change);
    this.write();
    if (changed.some((key) => OF_ANY_RUN.includes(key))) hold(this.written());
    for (const tell of this.told) tell(changed);
  }

  // Puts it into the address.
  write() {
    const url = new URL(location.href);
    for (const [key, value] of Object.entries(this.written())) {
      if (value === null) url.searchParams.delete(key);
      else url.searchParams.set(key, value);
    }
    if (url.href !== location.href) history.replaceState(history.state, "", url);
  }

  written() {
    return {
      x: this.x === DEFAULTS.x ? null : this.x,
      smooth: this.smooth === null ? null : String(this.smooth),
      raw: this.raw ? null : "0",
      log: this.log ? "1" : null,
      zoom: this.zoom ? this.zoom.map((step) => Math.round(step * 100) / 100).join("-") : null,
      metrics: this.metrics,
    };
  }
}

function held() {
  try {
    return new URLSearchParams(localStorage.getItem(PLACE) || "");
  } catch {
    return new URLSearchParams(); // private mode
  }
}

function hold(written) {
  const kept = OF_ANY_RUN.filter((key) => written[key] !== null).map((key) => [key, written[key]]);
  try {
    localStorage.setItem(PLACE, new URLSearchParams(kept).toString());
  } catch { /* private mode */ }
}

function read(given) {
  const found = {};
  if (["time", "tokens", "epoch"].includes(given.get("x"))) found.x = given.get("x");
  const smooth = Number(given.get("smooth") ?? NaN);
  if (smooth >= 0 && smooth < 1) found.smooth = smooth;
  if (given.get("raw") === "0") found.raw = false;
  if (given.get("log") === "1") found.log = true;
  const zoom = /^(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)$/.exec(given.get("zoom") || "");
  if (zoom && Number(zoom[1]) < Number(zoom[2])) found.zoom = [Number(zoom[1]), Number(zoom[2])];
  if (given.has("metrics")) found.metrics = given.get("metrics");
  return found;
}
