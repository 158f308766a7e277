// The page of one run: charts, live updates, sections, buttons.
import { listen, sayCommands } from "./actions.js";
import { getFragment, getJson, say } from "./api.js";
import { Chart } from "./chart.js";
import { follow } from "./live.js";
import { hasEnded, patchRun, tickRelativeTimes } from "./patch.js";

const page = document.getElementById("run");
const id = page.dataset.run;
const parsed = (name) => JSON.parse(document.getElementById(name).textContent);

const main = new Chart(document.getElementById("charts"), parsed("figure"));
if (!main.div.hidden) main.draw();

// A run that has just begun has nothing to draw; its first point brings the charts.
function begin() {
  main.div.hidden = false;
  document.getElementById("waiting").hidden = true;
  main.draw();
  setTimeout(() => refresh("marks"), 1000); // the levels of the evidence are known by then
}

// The small charts are drawn when first seen, and live from then on.
const others = new Map();
const specs = new Map(parsed("other-figures").map((spec) => [spec.name, spec]));
const seen = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    seen.unobserve(target);
    others.get(target.dataset.metric).draw();
  }
});
document.querySelectorAll(".small-chart").forEach((div) => {
  others.set(div.dataset.metric, new Chart(div, specs.get(div.dataset.metric)));
  seen.observe(div);
});

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
  others.set(name, new Chart(div, spec));
  document.getElementById("others-count").textContent = others.size;
  seen.observe(div);
}

// Which sections of the page a change touches.
const TOUCHES = {
  checkpoints: ["checkpoints", "evaluations", "marks"],
  evaluations: ["evaluations", "checkpoints", "marks"],
  change_points: ["transition", "checkpoints", "samples", "marks"],
  commands: ["commands", "decisions", "marks"],
  decisions: ["decisions"],
  jobs: ["jobs"],
  samples: ["samples"],
  quarantine: ["header"],
  roles: ["roles"],
};
const waiting = new Set();
const missed = new Set();
let refreshing = false;

function refresh(...names) {
  for (const name of names) waiting.add(name);
  if (!refreshing) refreshAll();
}

async function refreshAll() {
  refreshing = true;
  await new Promise((done) => setTimeout(done, 60)); // changes of one transaction come together
  while (waiting.size) {
    const names = [...waiting];
    waiting.clear();
    await Promise.all(names.map(swap));
  }
  refreshing = false;
}

async function swap(name) {
  try {
    const fresh = await getFragment(`/runs/${encodeURIComponent(id)}/sections/${name}`);
    const old = document.getElementById(`section-${name}`);
    keepOpen(old, fresh);
    old.replaceWith(fresh);
    if (name === "marks") main.mark(JSON.parse(fresh.textContent));
    if (name === "commands") sayCommands(fresh);
    tickRelativeTimes(fresh);
  } catch (error) {
    missed.add(name); // read again once the stream is back
    if (!(error instanceof TypeError)) say(`A part of the page could not be renewed (${name}): ${error.message}`, true);
  }
}

// What a person opened, scrolled or focused stays so.
function keepOpen(old, fresh) {
  const named = (el) => el.querySelector("summary").textContent.replace(/\d+\s*$/, "");
  const before = new Map([...old.querySelectorAll("details")].map((el) => [named(el), el.open]));
  fresh.querySelectorAll("details").forEach((el) => { el.open = before.get(named(el)) ?? el.open; });
  const boxes = [...old.querySelectorAll(".scroll")].map((el) => el.scrollTop);
  requestAnimationFrame(() => fresh.querySelectorAll(".scroll").forEach((el, i) => { el.scrollTop = boxes[i] || 0; }));
  const focused = old.contains(document.activeElement) && document.activeElement.dataset;
  if (focused?.action) {
    const again = `[data-action="${focused.action}"][data-checkpoint="${focused.checkpoint}"]`;
    requestAnimationFrame(() => fresh.querySelector(again)?.focus({ preventScroll: true }));
  }
}

function patchHeader(run) {
  const header = document.getElementById("section-header");
  patchRun(header, run);
  header.querySelector('[data-action="stop"]').disabled = !["running", "lost"].includes(run.status);
  const trained = ["running", "stopping"].includes(run.status);
  header.querySelector('[data-action="delete"]').disabled = trained;
  if (trained) header.querySelector('[data-action="resume"]').disabled = true; // read anew when it has ended
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
    say(`The charts could not be renewed: ${error.message}`, true);
  }
}

let latest = null; // the newest summary, put in place once per frame
let ended = false;
let cardTimer = null;

follow(`/api/v1/runs/${encodeURIComponent(id)}/events`, page.dataset.cursor, {
  point: ({ step, metrics }) => {
    for (const [name, value] of Object.entries(metrics)) {
      main.addValue(name, step, value);
      if (!others.has(name) && !main.trace("values", name)) newcomer(name);
      others.get(name)?.addValue(name, step, value);
    }
    if (main.div.hidden) begin();
  },
  verdict: ({ step, phase, score, evidence }) => {
    const parts = main.metrics("evidence").map((metric) => ["evidence", metric, step, evidence[metric] ?? 0]);
    main.add([["score_total", null, step, score], ...parts]);
    main.phase(step, phase);
    // The card's evidence follows the run, but no more often than a person reads.
    cardTimer ??= setTimeout(() => {
      cardTimer = null;
      refresh("transition");
    }, 2000);
  },
  rewind: readAgain,
  open: () => {
    refresh(...missed);
    missed.clear();
  },
  run: (run) => {
    if (latest === null) {
      requestAnimationFrame(() => {
        patchHeader(latest);
        if (hasEnded(latest) && !ended) refresh("header", "transition", "commands", "checkpoints", "decisions");
        ended = hasEnded(latest);
        latest = null;
      });
    }
    latest = run;
  },
  changed: ({ section }) => refresh(...(TOUCHES[section] || [])),
});

listen({ refresh });
tickRelativeTimes();
setInterval(tickRelativeTimes, 1000);
