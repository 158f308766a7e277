// The runs table: live rows; search, order and paging are done by the server and kept in the URL.
import { home } from "./address.js";
import { getFragment, getIfChanged, say } from "./api.js";
import { listDeleted } from "./deleted.js";
import { follow } from "./live/live.js";
import { belongs, placeOfRow, placeOfRun, query, ranged, rowsOf, search } from "./run_list.js";
import { columns } from "./table_columns.js";
import { keys } from "./table_keys.js";
import { selection } from "./selection.js";
import { listTrainings } from "./trainings.js";
import { patchRun, tickRelativeTimes } from "./patch.js";

const COLUMNS_EVERY_MS = 15_000; // columns of choice are not in the stream: they are read again
let table = document.getElementById("runs");
const pending = new Map(); // run id -> latest summary, drawn once per animation frame
const inserting = new Set();

const rowOf = (id) => table.querySelector(`tr[data-run="${CSS.escape(id)}"]`);

function draw() {
  const runs = [...pending.values()];
  pending.clear();
  for (const run of runs) {
    const row = rowOf(run.id);
    if (run.deleted_at) {
      if (row) ranged(table, -1, () => row.remove());
      picked.drop(run.id);
    }
    else if (!row) insert(run);
    else patchRun(row, run);
  }
}

// A run that is not shown begins a new row where the list begins, and only if it is searched for.
async function insert(run) {
  if (inserting.has(run.id) || !belongs(table, run)) return;
  inserting.add(run.id);
  const shown = table;
  try {
    const row = await getFragment(`/runs/${encodeURIComponent(run.id)}/sections/row`);
    if (shown !== table || rowOf(run.id)) return; // another page was opened meanwhile
    const body = rowsOf(table);
    for (let left = Number(table.dataset.columns); left > 0; left--) row.querySelector('[data-f="last_contact"]').before(Object.assign(document.createElement("td"), { className: "num x", textContent: "–" }));
    body.insertBefore(row, [...body.rows].find((other) => placeOfRow(other) < placeOfRun(run)) || null);
    document.getElementById("start")?.setAttribute("hidden", "");
    document.getElementById("runs-box").hidden = false;
    document.getElementById("none-found").hidden = true;
    ranged(table, 1);
    tickRelativeTimes(row);
  } catch (error) {
    if (!error.away) say(`A new run could not be shown: ${error.message}`, true);
  } finally {
    inserting.delete(run.id);
  }
}

document.addEventListener("click", (event) => {
  if (event.target.closest("a, button, input, label, .pick") || getSelection().toString()) return;
  event.target.closest("#runs tbody tr")?.querySelector("th a").click();
});

const picked = selection();
const again = search(() => {
  table = document.getElementById("runs");
  pending.clear();
  picked.shown();
  tickRelativeTimes();
});
columns();
keys(picked);
document.querySelectorAll("[data-origin]").forEach((el) => { el.textContent = home(); });
listDeleted(table.dataset.project);
listTrainings();
tickRelativeTimes();
setInterval(tickRelativeTimes, 1000);
const show = (run) => {
  if (!pending.size) requestAnimationFrame(draw);
  pending.set(run.id, run);
};
if (Number(table.dataset.columns) || document.getElementById("groups")) {
  setInterval(() => { if (!document.hidden && !new URLSearchParams(location.search).has("before")) again(); }, COLUMNS_EVERY_MS);
}

// The stream of all runs has no memory: what happened while it was closed is read once it is open again.
// What nothing happened to is answered without its details, so the page is not read twice.
let reading = null;
let tag = document.getElementById("list").dataset.tag;
async function read() {
  try {
    const found = await getIfChanged(`/api/v1/runs${query()}`, tag);
    if (!found) return;
    tag = found.tag;
    found.answer.runs.forEach(show);
  } catch (error) {
    if (!error.away) say(error.message, true);
  }
}
const readSoon = () => { reading ??= setTimeout(() => { reading = null; read(); }, 300); };

follow({ runs: [], table: true }, {
  events: (name, data) => { if (name === "run") show(data); },
  opened: readSoon,
  anew: readSoon,
  database: () => location.reload(), // nothing of what is shown is there any more
});
