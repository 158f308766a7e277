// The configuration of a run: searched by key and value, and beside that of another run.
import { getJson, getPage, say } from "./api.js";

export function configuration(project, own) {
  const box = document.getElementById("config");
  const [search, other, only] = ["search", "other", "only"].map((name) => box.querySelector(`[name="${name}"]`));
  const rows = () => [...box.querySelectorAll("tbody tr[data-key]")];

  function filter() {
    const wanted = search.value.trim().toLowerCase();
    for (const row of rows()) {
      const same = only.checked && other.value && !row.classList.contains("differs");
      row.hidden = same || !row.textContent.toLowerCase().includes(wanted);
    }
  }

  // The runs of the project, newest first, once somebody asks for one.
  async function list() {
    try {
      const { runs } = await getJson(`/api/v1/runs?project=${encodeURIComponent(project)}&limit=200`);
      const options = runs.filter(({ id }) => id !== own).map((run) => new Option(run.name, run.id));
      other.replaceChildren(new Option("no other run", ""), ...options);
    } catch (error) {
      if (!error.away) say(`The runs could not be listed: ${error.message}`, true);
    }
  }

  async function compare() {
    box.querySelectorAll(".other").forEach((el) => el.remove());
    rows().filter((row) => row.dataset.added).forEach((row) => row.remove());
    rows().forEach((row) => row.classList.remove("differs"));
    if (other.value) {
      try {
        // From its page: values that are equal are written alike only by one function (1e-06, 1.0).
        show(written(await getPage(`/runs/${encodeURIComponent(other.value)}`)));
      } catch (error) {
        if (!error.away) say(`The other run's configuration could not be read: ${error.message}`, true);
      }
    }
    filter();
  }

  function show(theirs) {
    box.querySelector("thead tr").append(cell("th", other.selectedOptions[0].text));
    for (const row of rows()) {
      const value = theirs.get(row.dataset.key);
      theirs.delete(row.dataset.key);
      row.append(cell("td", value ?? "–"));
      row.classList.toggle("differs", value !== row.cells[1].textContent);
    }
    for (const [key, value] of theirs) {
      const row = document.createElement("tr");
      row.dataset.key = key;
      row.dataset.added = "true";
      row.className = "differs";
      row.append(Object.assign(document.createElement("th"), { textContent: key, scope: "row" }));
      row.append(Object.assign(document.createElement("td"), { textContent: "–" }), cell("td", value));
      box.querySelector("tbody").append(row);
    }
  }

  search.addEventListener("input", filter);
  only.addEventListener("change", filter);
  other.addEventListener("change", compare);
  box.addEventListener("toggle", () => { if (box.open && other.options.length < 2) list(); });
}

const cell = (tag, text) => Object.assign(document.createElement(tag), { className: "other", textContent: text });

const written = (page) => new Map([...page.querySelectorAll("#config tr[data-key]")].map((row) => [row.dataset.key, row.cells[1].textContent]));
