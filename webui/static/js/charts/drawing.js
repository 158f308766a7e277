// The charts of a run's page. run.js loads this separately, so that an error here stops nothing else.
import { getJson, say } from "../api.js";
import { Chart } from "./chart.js";

const parsed = (name) => JSON.parse(document.getElementById(name).textContent);

// `fault` is called with later errors, `begun` when the first point has brought the charts.
export function drawing(id, { fault, begun }) {
  const main = new Chart(document.getElementById("charts"), parsed("figure"), fault);
  const others = new Map(); // the small charts are drawn when first seen, and live from then on
  const seen = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      seen.unobserve(target);
      others.get(target.dataset.metric).begin();
    }
  });

  function small(div, spec) {
    others.set(div.dataset.metric, new Chart(div, spec, fault));
    seen.observe(div);
  }

  // A metric that is first logged while the page is open gets its small chart, too.
  const blank = parsed("blank-figure");
  function newcomer(name) {
    const spec = JSON.parse(JSON.stringify(blank));
    const label = Object.hasOwn(blank.words, name) ? blank.words[name] : name; // a metric may be called `constructor`
    // Plotly reads tags in titles, as words.py:charted says.
    spec.layout.title.text = label.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
    for (const trace of spec.data) trace.meta.metric = name;
    const div = document.createElement("div");
    div.className = "small-chart";
    div.setAttribute("role", "img");
    div.setAttribute("aria-label", `Chart of ${label}`);
    div.dataset.metric = name;
    document.getElementById("small-charts").append(div);
    document.getElementById("others").hidden = false;
    small(div, spec);
    document.getElementById("others-count").textContent = others.size;
  }

  function point({ step, metrics }) {
    for (const [name, value] of Object.entries(metrics)) {
      main.addValue(name, step, value);
      if (!others.has(name) && !main.trace("values", name)) newcomer(name);
      others.get(name)?.addValue(name, step, value);
    }
    // A run that has just begun has nothing to draw; its first point brings the charts.
    if (main.div.hidden) {
      main.div.hidden = false;
      document.getElementById("waiting").hidden = true;
      main.begin();
      begun();
    }
  }

  function verdict({ step, phase, score, evidence }) {
    const parts = main.metrics("evidence").map((metric) => ["evidence", metric, step, evidence[metric] ?? 0]);
    main.add([["score_total", null, step, score], ...parts]);
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
      const path = `/api/v1/runs/${encodeURIComponent(id)}`;
      const [{ series }, verdicts] = await Promise.all([getJson(`${path}/series?max_points=3000`), getJson(`${path}/verdicts`)]);
      main.replace(series, verdicts);
      others.forEach((chart) => chart.replace(series, null));
    } catch (error) {
      if (!error.away) say(`The charts could not be renewed: ${error.message}`, true);
    }
  }

  if (!main.div.hidden) main.begin();
  const specs = new Map(parsed("other-figures").map((spec) => [spec.name, spec]));
  document.querySelectorAll(".small-chart").forEach((div) => small(div, specs.get(div.dataset.metric)));
  return { point, verdict, readAgain, mark: (text) => main.mark(JSON.parse(text)) };
}
