// The charts of a run's page. run.js loads this separately, so that an error here stops nothing else.
import { getJson, say } from "../api.js";
import { Axes } from "./axes.js";
import { Chart } from "./chart.js";
import { controls } from "./controls.js";
import { hoverTogether } from "./hover.js";
import { Others } from "./others.js";
import { plotly } from "./plotly.js";
import { View } from "./view.js";

const parsed = (name) => JSON.parse(document.getElementById(name).textContent);

const REREAD_MS = 300; // after the last change of the zoom
const THINNED = 500; // a series of more points may have been thinned (webui/charts/series.py:MAX_POINTS_SMALL)
const FULL = 3_000;

// `fault` is called with later errors, `begun` when the first point has brought the charts.
export async function drawing(id, { fault, begun }) {
  await plotly();
  const path = `/api/v1/runs/${encodeURIComponent(id)}`;
  const view = new View();
  const axes = new Axes(parsed("x-axes"));
  const shared = { view, axes, fault };
  const main = new Chart(document.getElementById("charts"), parsed("figure"), shared);
  const level = () => main.spec.layout.shapes.find(({ name }) => name === "limit:confirm")?.y0;
  const others = new Others(shared, parsed("other-figures"), parsed("blank-figure"));
  controls(view, axes, main.spec.cusp.smoothing);
  hoverTogether(() => [main, ...others.drawn()]);

  // What is zoomed into is read again at full resolution, for each chart that holds a thinned series.
  let timer = null;
  view.on((changed) => {
    if (!changed.includes("zoom")) return;
    clearTimeout(timer);
    if (view.zoom) timer = setTimeout(reread, REREAD_MS);
  });
  async function reread() {
    const [from, to] = [Math.max(0, Math.floor(view.zoom[0])), Math.ceil(view.zoom[1])];
    const charts = [main, ...others.drawn()];
    const thinned = charts.filter((chart) => chart.spec.data.some(({ x }) => x.length > THINNED));
    const names = thinned.flatMap((chart) => chart.metrics("values")).filter((name) => !name.includes(","));
    if (!names.length) return;
    try {
      const asked = new URLSearchParams({ names: names.join(","), since: from, until: to, max_points: FULL });
      const { series } = await getJson(`${path}/series?${asked}`);
      for (const chart of thinned) chart.refine(series, from, to);
    } catch (error) {
      if (!error.away) say(`The stretch could not be read at full resolution: ${error.message}`, true);
    }
  }
  if (view.zoom) timer = setTimeout(reread, REREAD_MS);

  function point({ step, metrics }) {
    axes.add(step, metrics);
    for (const [name, value] of Object.entries(metrics)) {
      if (main.trace("values", name)) main.addValue(name, step, value);
      else others.addValue(name, step, value);
    }
    // A run that has just begun has nothing to draw; its first point brings the charts.
    if (main.div.hidden) {
      main.div.hidden = false;
      document.getElementById("waiting").hidden = true;
      main.begin();
      begun();
    }
  }

  function verdict(told) {
    const { step, phase, score, evidence } = told;
    const parts = main.metrics("evidence").map((metric) => ["evidence", metric, step, evidence[metric] ?? 0]);
    const confirms = "level" in told ? told.level : level(); // told where it is not the preset's
    main.add([["score_total", null, step, score], ["level", null, step, confirms], ...parts]);
    main.phase(step, phase);
  }

  // A resumed attempt superseded steps, or steps came late: what is stored now is read once.
  let reading = false;
  async function readAgain() {
    if (reading) return;
    reading = true;
    await new Promise((done) => setTimeout(done, 250));
    reading = false; // a rewind from here on needs another reading
    try {
      const [{ series }, verdicts] = await Promise.all([getJson(`${path}/series?max_points=3000`), getJson(`${path}/verdicts?max_points=3000`)]);
      main.replace(series, verdicts);
      others.all().forEach((chart) => chart.replace(series, null));
    } catch (error) {
      if (!error.away) say(`The charts could not be renewed: ${error.message}`, true);
    }
  }

  if (!main.div.hidden) main.begin();
  return { point, verdict, readAgain, chart: main, view, mark: (text) => main.mark(JSON.parse(text)) };
}
