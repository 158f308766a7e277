// The runs table: live rows and sorting; search and paging are done by the server and kept in the URL.
import { home } from "./address.js";
import { getFragment, getJson, say } from "./api.js";
import { listDeleted } from "./deleted.js";
import { follow } from "./live/live.js";
import { belongs, placeOfRow, placeOfRun, query, ranged, search } from "./run_list.js";
import { listTrainings } from "./trainings.js";
import { patchRun, patchSortKeys, tickRelativeTimes } from "./patch.js";

let table = document.getElementById("runs");
let body = table.tBodies[0];
const pending = new Map(); // run id -> latest summary, drawn once per animation frame
const inserting = new Set();
let sortKey = null;
let descending = false;

const rowOf = (id) => body.querySelector(`tr[data-run="${CSS.escape(id)}"]`);

function draw() {
  const runs = [...pending.values()];
  pending.clear();
  for (const run of runs) {
    const row = rowOf(run.id);
    if (run.deleted_at) {
      if (row) ranged(table, -1, () => row.remove());
    }
    else if (!row) insert(run);
    else {
      patchRun(row, run);
      patchSortKeys(row, run);
    }
  }
  sort();
}

// A run that is not shown begins a new row where the list begins, and only if it is searched for.
async function insert(run) {
  if (inserting.has(run.id) || !belongs(table, run)) return;
  inserting.add(run.id);
  const shown = body;
  try {
    const row = await getFragment(`/runs/${encodeURIComponent(run.id)}/sections/row`);
    if (shown !== body || rowOf(run.id)) return; // another page was opened meanwhile
    const older = [...body.rows].find((other) => placeOfRow(other) < placeOfRun(run));
    body.insertBefore(row, sortKey ? null : older || null);
    document.getElementById("start")?.setAttribute("hidden", "");
    document.getElementById("runs-box").hidden = false;
    document.getElementById("none-found").hidden = true;
    ranged(table, 1);
    tickRelativeTimes(row);
    sort();
  } catch (error) {
    if (!error.away) say(`A new run could not be shown: ${error.message}`, true);
  } finally {
    inserting.delete(run.id);
  }
}

function sort() {
  if (!sortKey) return;
  const button = table.querySelector(`[data-sort="${sortKey}"]`);
  const numeric = button.dataset.kind === "num" && sortKey !== "contact";
  const value = (row) => (sortKey === "name" ? row.cells[0] : row.querySelector(`[data-s="${sortKey}"]`)).dataset.v;
  const rows = [...body.rows].map((row) => [value(row), row]);
  const compare = (a, b) => (numeric ? a - b : a.localeCompare(b, undefined, { numeric: true }));
  // Unknown values stay at the end whichever way the column is sorted.
  rows.sort(([a], [b]) => (a === "" || b === "" ? (a === "") - (b === "") : (descending ? -1 : 1) * compare(a, b)));
  if (rows.some(([, row], i) => body.rows[i] !== row)) body.append(...rows.map(([, row]) => row));
  for (const th of table.tHead.rows[0].cells) th.ariaSort = "none";
  button.closest("th").ariaSort = descending ? "descending" : "ascending";
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("#runs [data-sort]");
  if (button) {
    descending = sortKey === button.dataset.sort ? !descending : button.dataset.kind === "num";
    sortKey = button.dataset.sort;
    sort();
    return;
  }
  if (event.target.closest("a, button") || getSelection().toString()) return;
  event.target.closest("#runs tbody tr")?.querySelector("th a").click();
});

search(() => {
  [table, body] = [document.getElementById("runs"), document.getElementById("runs").tBodies[0]];
  pending.clear();
  sort();
  tickRelativeTimes();
});
document.querySelectorAll("[data-origin]").forEach((el) => { el.textContent = home(); });
listDeleted(table.dataset.project);
listTrainings();
tickRelativeTimes();
setInterval(tickRelativeTimes, 1000);
const show = (run) => {
  if (!pending.size) requestAnimationFrame(draw);
  pending.set(run.id, run);
};

// The stream of all runs has no memory: what happened while it was closed is read once it is open again.
let reading = null;
const read = () => getJson(`/api/v1/runs${query()}`).then(({ runs }) => runs.forEach(show)).catch((error) => { if (!error.away) say(error.message, true); });
const readSoon = () => { reading ??= setTimeout(() => { reading = null; read(); }, 300); };

follow({ runs: [], table: true }, {
  events: (name, data) => { if (name === "run") show(data); },
  opened: readSoon,
  anew: readSoon,
  database: () => location.reload(), // nothing of what is shown is there any more
});
