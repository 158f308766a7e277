// The page of one run. Buttons and text come first, so that an error in the charts does not disable them.
import { listen } from "./actions.js";
import { configuration } from "./config.js";
import "./copy.js";
import { banner } from "./live/banner.js";
import { follow } from "./live/live.js";
import { hasEnded, patchRun, tickRelativeTimes } from "./patch.js";
import { ALL, sections, TOUCHES } from "./sections.js";

const page = document.getElementById("run");
const id = page.dataset.run;
const { refresh, retry } = sections(id, (marks) => draw((charts) => charts.mark(marks)));
const savePicture = (format) => draw(async (drawn) => (await import("./charts/export.js")).picture(drawn.chart.div, id, format));
listen({ refresh, savePicture });
configuration(page.dataset.project, id);

// The levels of the evidence are known a moment after the first point.
const begun = () => setTimeout(() => refresh("marks"), 1000);
const charts = import("./charts/drawing.js").then(({ drawing }) => drawing(id, { fault, begun }));
charts.catch(fault);
const draw = (work) => charts.then(work).catch(fault);

function fault(error) {
  const line = document.getElementById("chart-fault");
  line.textContent = `The charts cannot be drawn (${error?.message || error}). The rest of this page works; load it anew to try again.`;
  line.hidden = false;
}

function patchHeader(run) {
  const header = document.getElementById("section-header");
  patchRun(header, run);
  header.querySelector('[data-action="stop"]').disabled = !["running", "lost"].includes(run.status);
  const verify = header.querySelector('[data-action="verify"]');
  verify.disabled = verify.title !== "" || !["running", "lost"].includes(run.status);
  const trained = ["running", "stopping"].includes(run.status);
  header.querySelector('[data-action="delete"]').disabled = trained;
  header.querySelector('[data-action="keep"]').disabled = hasEnded(run);
  if (trained) header.querySelector('[data-action="resume"]').disabled = true; // read anew when it has ended
  if (run.step === null) document.getElementById("waiting").textContent = run.words;
  sayDeleted(Boolean(run.deleted_at));
}

let deleted = "isDeleted" in page.dataset;
if (deleted) banner("gone", page.dataset.deletedWords, ["Deleted runs", page.dataset.deleted]);

function sayDeleted(is) {
  document.querySelector("#section-header .buttons").disabled = is;
  banner("gone", is ? page.dataset.deletedWords : "", ["Deleted runs", page.dataset.deleted]);
  if (is !== deleted) refresh("header", "proposal", "checkpoints", "roles");
  deleted = is;
}

let latest = null; // the newest summary, put in place once per frame
let ended = false;
let cardTimer = null;

function patchSoon(run) {
  if (latest === null) requestAnimationFrame(patch);
  latest = run;
}

function patch() {
  const run = latest;
  latest = null;
  patchHeader(run);
  if (hasEnded(run) && !ended) refresh("header", "proposal", "transition", "verifications", "commands", "checkpoints", "decisions");
  ended = hasEnded(run);
}

const on = {
  point: (point) => draw((drawn) => drawn.point(point)),
  verdict: (verdict) => {
    draw((drawn) => drawn.verdict(verdict));
    // The card's evidence follows the run, but no more often than a person reads.
    cardTimer ??= setTimeout(() => {
      cardTimer = null;
      refresh("transition");
    }, 2000);
  },
  rewind: () => draw((drawn) => drawn.readAgain()),
  run: patchSoon,
  changed: ({ section }) => refresh(...(TOUCHES[section] || [])),
};

follow({ runs: [[id, Number(page.dataset.cursor)]], table: false }, {
  events: (name, data) => on[name]?.(data),
  opened: retry,
  anew: () => {
    refresh(...ALL);
    draw((drawn) => drawn.readAgain());
  },
  database: () => banner("database", "The monitor has another database now; this page shows the one before.", ["Load it anew", location.href]),
  gone: (detail) => banner("gone", `Nothing more comes of this run: ${detail}.`, ["Back to the runs", page.dataset.runs]),
});

tickRelativeTimes();
setInterval(tickRelativeTimes, 1000);
