// Draws a figure of figures.py, extends it point by point, and redraws it for data and theme.
// The spec (with colour tokens) is the source of truth; Plotly gets resolved copies of changed parts.
import { leave, MOST, MOST_SMALL, places } from "./bounded.js";
import { themed } from "./colors.js";
import { Average } from "./smooth.js";

const MIN_GAP_MS = 80; // at most ~12 redraws a second, and a third of the time at most,
const REST = 2; // however long a redraw of a long run takes
const QUEUED = 10_000; // values that wait to be drawn; more than a redraw costs
const TOUCH = matchMedia("(pointer: coarse)");

export class Chart {
  // `view` and `axes` are those of all charts; `fault` is told what fails while it draws; the next change tries again.
  constructor(div, spec, { view, axes, fault }) {
    Object.assign(this, { div, spec, view, axes, fault, queue: [], scheduled: false, stale: false, drawnAt: 0, took: 0, sums: new Map() });
    this.traces = new Map(spec.data.map((trace, index) => [keyOf(trace), index]));
    this.x = axes.of(view.x);
    this.most = div.classList.contains("small-chart") ? MOST_SMALL : MOST;
    if (view.smooth !== null) this.averageAll();
    addEventListener("cusp:theme", () => this.redraw());
    view.on((changed) => this.follow(changed));
  }

  follow(changed) {
    this.x = this.axes.of(this.view.x);
    if (changed.includes("smooth")) this.averageAll();
    if (changed.some((key) => key !== "metrics")) this.redraw();
  }

  get weight() {
    return this.view.smooth === null ? this.spec.cusp.smoothing : 1 - this.view.smooth;
  }

  async begin() {
    try {
      await this.draw();
      this.div.querySelector(":scope > .still")?.remove(); // the picture that the page came with
      this.div.on("plotly_relayout", (change) => this.zoomed(change));
    } catch (error) {
      this.fault(error);
    }
  }

  draw() {
    const data = this.spec.data.map((t) => ({ ...themed({ ...t, x: null, y: null }), ...this.look(t), x: t.x.map(this.x.to), y: [...t.y] }));
    this.drawnAt = performance.now();
    this.queue = []; // all of it is drawn now
    return Plotly.react(this.div, data, this.layout(), this.spec.config);
  }

  // Without smoothing, or without an average, the values themselves are the strong line.
  look({ meta, line }) {
    const plain = this.weight >= 1;
    if (meta.role === "average") return { visible: !plain };
    if (meta.role !== "values") return {};
    return plain ? themed({ opacity: 1, line: { ...line, width: 1.6 } }) : { visible: this.view.raw };
  }

  layout() {
    const { view, spec, x } = this;
    const layout = { ...themed({ ...spec.layout, ...this.overlays() }), autosize: true };
    layout.uirevision = JSON.stringify([view.x, view.log, view.zoom]);
    const title = layout.xaxis.title ? { ...layout.xaxis.title, text: x.title } : undefined;
    layout.xaxis = { ...layout.xaxis, title, tickformat: x.tickformat, unifiedhovertitle: { text: x.hover } };
    if (view.zoom) Object.assign(layout.xaxis, { range: view.zoom.map(x.to), autorange: false });
    for (const name of view.log ? spec.cusp.logged : []) {
      layout[name] = { ...layout[name], type: "log", autorangeoptions: {}, nticks: 4 };
    }
    if (TOUCH.matches) layout.dragmode = false; // a finger scrolls the page, it does not zoom
    return layout;
  }

  overlays() {
    const { shapes = [], annotations = [] } = this.spec.layout;
    const { to } = this.x;
    return {
      shapes: shapes.map((s) => (s.xref === "x" ? { ...s, x0: to(s.x0), x1: to(s.x1) } : s)),
      annotations: annotations.map((a) => (a.xref === "x" ? { ...a, x: to(a.x) } : a)),
    };
  }

  // One zoom for all charts, kept in steps whatever the x axis shows.
  zoomed(change) {
    if (change["xaxis.autorange"]) this.view.set({ zoom: null });
    const range = change["xaxis.range"] || [change["xaxis.range[0]"], change["xaxis.range[1]"]];
    if (typeof range[0] === "number") this.view.set({ zoom: range.map(this.x.from).map((step) => Math.max(0, step)) });
  }

  redraw() {
    this.stale = true;
    this.schedule();
  }

  trace(role, metric) {
    return this.spec.data[this.traces.get(`${role}:${metric ?? ""}`)];
  }

  metrics(role) {
    return this.spec.data.filter(({ meta }) => meta.role === role).map(({ meta }) => meta.metric);
  }

  // Adds values [[role, metric, step, value]]; a step that is not new is put in its place.
  add(changes) {
    for (const [role, metric, step, value] of changes) {
      const trace = this.trace(role, metric);
      if (!trace || value === undefined || (value === null && role !== "level")) continue;
      if (trace.x.length && step <= trace.x.at(-1)) { insert(trace, step, value); this.stale = true; continue; }
      trace.x.push(step);
      trace.y.push(value);
      // A chart that was not seen yet is drawn whole; so is one of a tab in the background, where nothing is drawn.
      if (this.queue.length > QUEUED) Object.assign(this, { queue: [], stale: true });
      if (this.div.data && !this.stale) this.queue.push([this.traces.get(keyOf(trace)), step, value]);
      if (role !== "values" && role !== "average") this.bound(trace);
    }
    this.schedule();
  }

  // The values and their causal average (weights as in series.py:smoothed).
  addValue(metric, step, value) {
    const values = this.trace("values", metric);
    if (!values) return;
    if (values.x.length && step <= values.x.at(-1)) {
      insert(values, step, value);
      this.average(metric);
      return;
    }
    const average = this.trace("average", metric);
    const sum = this.sums.get(metric)
      ?? Average.resumed(this.weight, this.spec.cusp.stride, average.y.at(-1), average.y.length, average.x.at(-1) ?? null);
    this.sums.set(metric, sum);
    this.add([["values", metric, step, value], ["average", metric, step, sum.next(step, value)]]);
    this.bound(values, average);
  }

  // Leaves fewer points of a trace that has become too long, and of those that go with it the same. What is zoomed
  // into was read in full and stays so.
  bound(trace, ...others) {
    const { zoom } = this.view;
    if (trace.x.length <= this.most + (zoom ? MOST : 0)) return;
    const kept = places(trace.x, trace.y, this.most, zoom);
    for (const one of [trace, ...others]) leave(one, kept);
    this.stale = true;
  }

  averageAll() {
    for (const { meta } of this.spec.data) if (meta.role === "average") this.average(meta.metric);
  }

  average(metric) {
    const [values, average] = [this.trace("values", metric), this.trace("average", metric)];
    const sum = new Average(this.weight, this.spec.cusp.stride);
    average.x = [...values.x];
    average.y = values.y.map((value, i) => sum.next(values.x[i], value));
    this.sums.set(metric, sum);
    this.redraw();
  }

  // A stretch that was read at full resolution takes the place of the thinned one. It ends with what was read, as
  // later points came while the answer was on its way.
  refine(series, from, to) {
    for (const { name, steps, values } of series) {
      const trace = this.trace("values", name);
      if (!trace || !steps.length) continue;
      const before = trace.x.findIndex((x) => x >= from);
      const [start, end] = [before < 0 ? trace.x.length : before, trace.x.findIndex((x) => x > Math.min(to, steps.at(-1)))];
      const rest = end < 0 ? trace.x.length : end;
      trace.x = [...trace.x.slice(0, start), ...steps, ...trace.x.slice(rest)];
      trace.y = [...trace.y.slice(0, start), ...values, ...trace.y.slice(rest)];
      this.bound(trace);
      this.average(name);
    }
  }

  // The stored series and verdicts take the place of what is drawn; only newer steps stay.
  replace(series, verdicts) {
    for (const trace of this.spec.data) {
      const { role, metric } = trace.meta;
      const one = series.find((s) => s.name === metric);
      if (role === "values" && one) renew(trace, one.steps, one.values);
      if (role === "superseded" && one) Object.assign(trace, { x: one.superseded.steps, y: one.superseded.values });
      if (role === "evidence" && verdicts?.evidence[metric]) renew(trace, verdicts.steps, verdicts.evidence[metric]);
      if (role === "score_total" && verdicts) renew(trace, verdicts.steps, verdicts.scores);
      if (role === "level" && verdicts) renew(trace, verdicts.steps, verdicts.levels);
    }
    this.averageAll();
    if (verdicts?.steps.length) this.bandsFrom(verdicts);
    this.redraw();
  }

  bandsFrom({ steps, phases }) {
    const { layout } = this.spec;
    layout.shapes = (layout.shapes || []).filter((s) => !isBand(s));
    steps.forEach((step, i) => this.phase(step, phases[i]));
    if (this.seen?.step > steps.at(-1)) this.phase(this.seen.step, this.seen.phase);
  }

  // The band of the current phase grows; another phase opens the next band.
  phase(step, phase) {
    if (!(this.seen?.step > step)) this.seen = { step, phase };
    const shapes = (this.spec.layout.shapes ||= []);
    const bands = shapes.filter(isBand);
    const last = bands.at(-1);
    if (last && step < last.x1) return; // sent again, and known
    if (last) last.x1 = step;
    if (last?.name !== `phase:${phase}`) shapes.splice(bands.length, 0, band(phase, step));
    this.shapesChanged = true;
    this.schedule();
  }

  // New flags, scores and transition lines from the server replace the drawn ones.
  mark({ traces, shapes, annotations, evidence }) {
    Object.assign(this.spec.layout.yaxis4, evidence);
    const drawn = this.spec.layout.shapes || [];
    this.spec.layout.shapes = [...drawn.filter(isBand), ...shapes];
    const titles = this.spec.layout.annotations.filter((a) => a.name === "title");
    this.spec.layout.annotations = [...titles, ...annotations];
    for (const trace of traces) this.spec.data[this.traces.get(keyOf(trace))] = trace;
    this.redraw();
  }

  schedule() {
    if (this.scheduled || !this.div.data) return;
    this.scheduled = true;
    const gap = Math.max(MIN_GAP_MS, REST * this.took);
    const wait = Math.max(0, gap - (performance.now() - this.drawnAt));
    setTimeout(() => requestAnimationFrame(() => this.flush()), wait);
  }

  async flush() {
    let failed = false;
    try {
      await this.drawChanges();
    } catch (error) {
      failed = true;
      this.fault(error);
    }
    this.drawnAt = performance.now();
    this.scheduled = false;
    if (this.queue.length || this.stale || this.shapesChanged) this.schedule();
    if (failed) this.stale = true; // what failed is drawn whole with the next change
  }

  async drawChanges() {
    const queue = this.queue.splice(0);
    const { stale, shapesChanged } = this;
    this.stale = this.shapesChanged = false;
    const began = performance.now();
    if (stale) await this.draw();
    else {
      if (queue.length) await this.extend(queue);
      if (shapesChanged) await Plotly.relayout(this.div, { shapes: themed(this.overlays().shapes) });
    }
    this.took = performance.now() - began;
  }

  extend(queue) {
    const byTrace = new Map();
    for (const [index, step, value] of queue) {
      if (!byTrace.has(index)) byTrace.set(index, { x: [], y: [] });
      byTrace.get(index).x.push(this.x.to(step));
      byTrace.get(index).y.push(value);
    }
    const added = [...byTrace.values()];
    const update = { x: added.map((a) => a.x), y: added.map((a) => a.y) };
    return Plotly.extendTraces(this.div, update, [...byTrace.keys()]);
  }
}

const keyOf = ({ meta }) => `${meta.role}:${meta.metric ?? meta.split ?? meta.flag ?? ""}`;
const isBand = (shape) => shape.name?.startsWith("phase:");

function band(phase, step) {
  return {
    type: "rect", name: `phase:${phase}`, xref: "x", yref: "paper", x0: step, x1: step, y0: 0, y1: 1,
    line: { width: 0 }, fillcolor: `@band_${phase}`, layer: "below",
  };
}

function renew(trace, steps, values) {
  const newer = trace.x.findIndex((x) => x > (steps.at(-1) ?? -1));
  trace.y = [...values, ...(newer < 0 ? [] : trace.y.slice(newer))];
  trace.x = [...steps, ...(newer < 0 ? [] : trace.x.slice(newer))];
}

function insert(trace, step, value) {
  const at = trace.x.findIndex((x) => x >= step);
  trace.x.splice(at, trace.x[at] === step ? 1 : 0, step);
  trace.y.splice(at, trace.y.length === trace.x.length ? 1 : 0, value);
}
