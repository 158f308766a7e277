// Search box and status filter of the runs table: applied by the server, kept in the URL.
import { at } from "./address.js";
import { getPage, say } from "./api.js";

const WAIT_MS = 200; // after the last key, before the server is asked

// Returns the sort position of a run, or of its row: greater for newer ones.
const placeOf = (at, id) => `${at} ${id}`;
export const placeOfRow = (row) => placeOf(row.dataset.at, row.dataset.run);
export const placeOfRun = (run) => placeOf(run.created_at, run.id);

// The rows of the page, without the pinned ones above them.
export const rowsOf = (table) => table.querySelector("#rows");

// Whether a run that is not in the table belongs into it: found by the search, and not on an older page.
export function belongs(table, run) {
  const shown = new URLSearchParams(location.search);
  if (["sort", "group", "config"].some((name) => shown.get(name))) return false;
  const places = [...rowsOf(table).rows].map(placeOfRow).sort();
  if (document.querySelector("#pager [rel=next]") && placeOfRun(run) < places[0]) return false;
  const asked = new URLSearchParams(location.search);
  if (asked.has("before") || (table.dataset.project && run.project !== table.dataset.project)) return false;
  if (asked.get("status") && run.status !== asked.get("status")) return false;
  const text = [run.name, run.project, ...(run.tags || [])].join(" ").toLowerCase();
  const found = (word) => text.includes(word) || run.id.toLowerCase().startsWith(word);
  return (asked.get("q") || "").trim().toLowerCase().split(/\s+/).every((word) => !word || found(word));
}

// The query of the address without what is empty, as the API takes it.
export function query() {
  const own = ["column", "pin", "group"]; // how the page shows the list, nothing that the list is asked
  const asked = [...new URLSearchParams(location.search)].filter(([name, value]) => value && !own.includes(name));
  return asked.length ? `?${new URLSearchParams(asked)}` : "";
}

// Count runs that came or went while the page is open.
export function ranged(table, more, change = () => {}) {
  change();
  const total = Number(table.dataset.total) + more;
  table.dataset.total = total;
  const [first, shown] = [Number(table.dataset.first), rowsOf(table).rows.length];
  const words = (number) => number.toLocaleString("en-US");
  document.getElementById("count").textContent = words(total);
  document.getElementById("range").textContent = `${words(first + 1)}–${words(first + shown)} of ${words(total)}`;
  document.getElementById("pager").hidden = false;
}

// Ask the server while somebody types; `shown` is called when another list is in the page.
export function search(shown) {
  const form = document.getElementById("filters");
  const box = document.getElementById("search");
  let timer = null;
  let asked = 0;

  async function ask() {
    const url = new URL(at("/"), location);
    for (const [name, value] of new FormData(form)) if (value.trim()) url.searchParams.append(name, value);
    const number = ++asked;
    try {
      const found = await getPage(`/${url.search}`);
      if (number !== asked) return; // somebody typed on
      history.replaceState(null, "", url);
      document.getElementById("list").replaceWith(found.getElementById("list"));
      document.getElementById("count").textContent = found.getElementById("count").textContent;
      shown();
    } catch (error) {
      if (!error.away) say(error.message, true);
    }
  }

  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(ask, WAIT_MS);
  };
  box.addEventListener("input", later);
  document.getElementById("status").addEventListener("change", later);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(timer);
    ask();
  });
  return ask;
}
