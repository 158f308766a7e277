// List of restorable runs, fetched when it is opened.
import { getJson, post, say } from "./api.js";

export function listDeleted(project) {
  const list = document.getElementById("deleted");
  const rows = list.querySelector("tbody");

  async function read() {
    try {
      const asked = project ? `?project=${encodeURIComponent(project)}` : "";
      const { deleted_runs } = await getJson(`/api/v1/deleted-runs${asked}`);
      rows.replaceChildren(...deleted_runs.map(row));
      document.getElementById("deleted-box").hidden = !deleted_runs.length;
      document.getElementById("none-deleted").hidden = deleted_runs.length > 0;
    } catch (error) {
      say(error.message, true);
    }
  }

  function row(run) {
    const shown = { Run: run.name, Project: run.project, Step: run.step, "Deleted by": run.deleted_by, "Restorable until": day(run.restorable_until) };
    const made = document.createElement("tr");
    made.dataset.deleted = run.run_id;
    made.append(...Object.entries(shown).map(([label, text]) => cell(text ?? "–", label)));
    made.cells[2].className = "num";
    const button = Object.assign(document.createElement("button"), { type: "button", className: "small", textContent: "Restore" });
    button.setAttribute("aria-label", `Restore ${run.name}`);
    button.addEventListener("click", () => restore(run, button));
    const last = cell("");
    last.className = "actions";
    last.append(button);
    made.append(last);
    return made;
  }

  async function restore(run, button) {
    button.disabled = true;
    try {
      await post(`/api/v1/runs/${run.run_id}/restore`);
      say(`${run.name} is back.`);
      await read();
    } catch (error) {
      button.disabled = false;
      say(error.message, true);
    }
  }

  list.addEventListener("toggle", () => { if (list.open) read(); });
  if (location.hash === "#deleted") list.open = true;
}

function cell(text, label) {
  const made = document.createElement("td");
  if (label) made.dataset.label = label;
  made.append(text);
  return made;
}

// zone.js shows it in the reader's zone.
function day(iso) {
  if (!iso) return "–";
  return Object.assign(document.createElement("time"), { dateTime: iso, textContent: `${iso.slice(0, 19).replace("T", " ")} UTC` });
}
