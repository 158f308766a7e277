// Columns of choice, pinned runs and the group of the runs table: in the URL, and remembered in a cookie.
import { at } from "./address.js";
import { getJson, say } from "./api.js";

const YEAR_S = 31_536_000;
const MOST = 12;

// Shows the table with other columns or pins, from now on: a cookie, as the server makes the page.
export function remembered(changes) {
  const url = new URL(location);
  const form = new FormData(document.getElementById("filters"));
  const kept = new URLSearchParams();
  for (const name of ["column", "pin"]) {
    const values = changes[name] ?? form.getAll(name);
    url.searchParams.delete(name);
    for (const value of values) kept.append(name, value);
    for (const value of values.length ? values : [""]) url.searchParams.append(name, value);
  }
  if ("group" in changes) {
    url.searchParams.delete("group");
    if (changes.group) url.searchParams.set("group", changes.group);
  }
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `cusp_table=${encodeURIComponent(kept)}; Path=${at("/")}; Max-Age=${YEAR_S}; SameSite=Lax${secure}`;
  location.assign(url);
}

export function columns() {
  const dialog = document.getElementById("columns-dialog");
  const form = dialog.querySelector("form");
  const list = document.getElementById("chosen");
  const [kind, name] = [document.getElementById("column-kind"), document.getElementById("column-name")];
  let chosen = [];
  let known = null;

  function draw() {
    list.replaceChildren(...chosen.map((column, place) => {
      const row = document.createElement("li");
      const text = Object.assign(document.createElement("span"), { textContent: column });
      row.append(text, button("↑", `Move ${column} to the left`, () => move(place, -1), place === 0), button("×", `Take ${column} off`, () => { chosen.splice(place, 1); draw(); }));
      return row;
    }));
  }

  function move(place, by) {
    const [one] = chosen.splice(place, 1);
    chosen.splice(place + by, 0, one);
    draw();
  }

  function button(text, label, act, disabled = false) {
    const made = Object.assign(document.createElement("button"), { type: "button", className: "small quiet", textContent: text, disabled });
    made.setAttribute("aria-label", label);
    made.addEventListener("click", act);
    return made;
  }

  function add() {
    const column = `${kind.value}:${name.value.trim()}`;
    if (!name.value.trim() || chosen.includes(column)) return;
    if (chosen.length >= MOST) return say(`There can be ${MOST} columns; take one off first.`, true);
    chosen.push(column);
    name.value = "";
    draw();
    name.focus();
  }

  function offer() {
    const names = known ? (kind.value === "config" ? known.config : known.metrics) : [];
    document.getElementById("column-names").replaceChildren(...names.map((one) => new Option(one)));
    document.getElementById("config-names").replaceChildren(...(known?.config || []).map((one) => new Option(one)));
  }

  async function open() {
    chosen = new FormData(document.getElementById("filters")).getAll("column");
    draw();
    dialog.showModal();
    try {
      known ??= await getJson("/api/v1/run-columns");
      offer();
    } catch (error) {
      if (!error.away) say(error.message, true);
    }
  }

  kind.addEventListener("change", offer);
  document.getElementById("column-add").addEventListener("click", add);
  name.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    add();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    add();
    dialog.close();
    remembered({ column: chosen, group: form.elements.group.value.trim() });
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-table=columns]")) open();
    if (event.target.closest("[data-table=help]")) document.getElementById("help-dialog").showModal();
  });
}
