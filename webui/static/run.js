// The page of one run: charts, live updates, sections, buttons.
import { listen, sayCommands } from "./actions.js";
import { getFragment, say } from "./api.js";
import { Chart } from "./chart.js";
import { follow } from "./live.js";
import { hasEnded, patchRun, tickRelativeTimes } from "./patch.js";

const page = document.getElementById("run");
const id = page.dataset.run;
const parsed = (name) => JSON.parse(document.getElementById(name).textContent);

const main = new Chart(document.getElementById("charts"), parsed("figure"));
main.draw();

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

// Which sections of the page a change touches.
const TOUCHES = {
  checkpoints: ["checkpoints", "marks"],
  evaluations: ["evaluations", "checkpoints", "marks"],
  change_points: ["transition", "checkpoints", "samples", "marks"],
  commands: ["commands", "decisions", "marks"],
  decisions: ["decisions"],
  jobs: ["jobs"],
  samples: ["samples"],
};
const waiting = new Set();
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
    say(`A part of the page could not be renewed (${name}): ${error.message}`, true);
  }
}

// What a person opened, scrolled or focused stays so.
function keepOpen(old, fresh) {
  const before = old.querySelectorAll("details");
  fresh.querySelectorAll("details").forEach((el, i) => { if (before[i]) el.open = before[i].open; });
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
}

let latest = null; // the newest summary, put in place once per frame
let ended = false;
let lateVerdict = 0;

follow(`/api/v1/runs/${encodeURIComponent(id)}/events`, page.dataset.cursor, {
  point: ({ step, metrics }) => {
    for (const [name, value] of Object.entries(metrics)) {
      main.addValue(name, step, value);
      others.get(name)?.addValue(name, step, value);
    }
  },
  verdict: ({ step, phase, score, evidence }) => {
    main.add([["score_total", null, step, score], ...Object.entries(evidence).map(([m, v]) => ["evidence", m, step, v])]);
    main.phase(step, phase);
    // The card's evidence follows the run, but no more often than a person reads.
    if (performance.now() - lateVerdict > 2000) {
      lateVerdict = performance.now();
      refresh("transition");
    }
  },
  rewind: ({ step }) => {
    main.rewind(step);
    others.forEach((chart) => chart.rewind(step));
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
