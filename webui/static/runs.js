// The table of runs: live rows, search, sort.
import { home } from "./address.js";
import { getFragment, getJson, say } from "./api.js";
import { listDeleted } from "./deleted.js";
import { follow } from "./live.js";
import { patchRun, patchSortKeys, tickRelativeTimes } from "./patch.js";

const table = document.getElementById("runs");
const body = table.tBodies[0];
const search = document.getElementById("search");
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
    if (run.deleted_at) row?.remove();
    else if (!row) insert(run);
    else {
      patchRun(row, run);
      patchSortKeys(row, run);
    }
  }
  sort();
  filter();
}

async function insert(run) {
  if (inserting.has(run.id) || (table.dataset.project && run.project !== table.dataset.project)) return;
  inserting.add(run.id);
  try {
    const row = await getFragment(`/runs/${encodeURIComponent(run.id)}/sections/row`);
    // Ids are ULIDs: newest first is descending id.
    const older = [...body.rows].find((other) => other.dataset.run < run.id);
    if (!rowOf(run.id)) body.insertBefore(row, sortKey ? null : older || null);
    document.getElementById("start").hidden = true;
    document.getElementById("runs-box").hidden = false;
    tickRelativeTimes(row);
    sort();
    filter();
  } catch (error) {
    if (!error.away) say(`A new run could not be shown: ${error.message}`, true);
  } finally {
    inserting.delete(run.id);
  }
}

function filter() {
  const asked = search.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const row of body.rows) {
    const text = row.dataset.search.toLowerCase();
    row.hidden = !asked.every((part) => text.includes(part));
    shown += !row.hidden;
  }
  document.getElementById("count").textContent = asked.length ? `${shown} of ${body.rows.length}` : body.rows.length;
  document.getElementById("none-found").hidden = shown > 0 || body.rows.length === 0;
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
}

table.tHead.addEventListener("click", (event) => {
  const button = event.target.closest("[data-sort]");
  if (!button) return;
  descending = sortKey === button.dataset.sort ? !descending : button.dataset.kind === "num";
  sortKey = button.dataset.sort;
  for (const th of table.tHead.rows[0].cells) th.ariaSort = "none";
  button.closest("th").ariaSort = descending ? "descending" : "ascending";
  sort();
});

search.addEventListener("input", () => {
  const url = new URL(location);
  if (search.value) url.searchParams.set("q", search.value);
  else url.searchParams.delete("q");
  history.replaceState(null, "", url);
  filter();
});
addEventListener("keydown", (event) => {
  if (event.key !== "/" || /INPUT|TEXTAREA/.test(document.activeElement.tagName)) return;
  event.preventDefault();
  search.focus();
});
body.addEventListener("click", (event) => {
  if (event.target.closest("a, button") || getSelection().toString()) return;
  event.target.closest("tr")?.querySelector("th a").click();
});

search.value = new URL(location).searchParams.get("q") || "";
document.querySelectorAll("[data-origin]").forEach((el) => { el.textContent = home(); });
filter();
listDeleted(table.dataset.project);
tickRelativeTimes();
setInterval(tickRelativeTimes, 1000);
// A long list is cut at its old end; what was cut stays away.
const oldest = [...body.rows].reduce((least, row) => (row.dataset.run < least ? row.dataset.run : least), "~");
const belongs = (run) => oldest === "~" || run.id >= oldest;
const show = (run) => {
  if (!pending.size) requestAnimationFrame(draw);
  pending.set(run.id, run);
};

// The stream of all runs has no memory: what happened while it was closed is read once it is open again.
let reading = null;
const read = () => getJson("/api/v1/runs").then(({ runs }) => runs.filter(belongs).forEach(show)).catch((error) => { if (!error.away) say(error.message, true); });
const readSoon = () => { reading ??= setTimeout(() => { reading = null; read(); }, 300); };

follow({ runs: [], table: true }, {
  events: (name, data) => { if (name === "run") show(data); },
  opened: readSoon,
  anew: readSoon,
  database: () => location.reload(), // nothing of what is shown is there any more
});
