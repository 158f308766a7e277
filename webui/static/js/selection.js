// Selected runs of the table, and what is done with all of them: compare, pin, tag, stop, delete.
import { at } from "./address.js";
import { patch, post, remove, say } from "./api.js";
import { remembered } from "./table_columns.js";

const ENDED = ["stopped", "finished", "failed", "lost"];
const runs = new Map(); // id -> {name, row}

const words = (count) => `${count} run${count === 1 ? "" : "s"}`;
const nameOf = (row) => row.querySelector("th a").textContent.trim();
const tagsOf = (row) => [...row.querySelectorAll(".chip")].map((chip) => chip.textContent);
const statusOf = (row) => row.querySelector('[data-f="status"]').textContent;

// What a bulk act says before it is done, and what it does to one run.
const ACTS = {
  tag: {
    title: (count) => `Tag ${words(count)}?`,
    words: "The tag is added to each of them.",
    input: "Tag",
    go: "Add the tag",
    act: (id, { row }, text) => patch(`/api/v1/runs/${id}`, { tags: [...new Set([...tagsOf(row), text])] }),
    done: (count) => `${words(count)} tagged.`,
  },
  stop: {
    title: (count) => `Stop ${words(count)}?`,
    words: "Each trainer finishes its step, saves a checkpoint, and ends on all ranks. A stopped run can be resumed.",
    input: "Reason (kept in the audit log)",
    go: "Stop the runs",
    danger: true,
    only: (row) => !ENDED.includes(statusOf(row)),
    none: "None of the selected runs is running.",
    act: (id, _, text) => post(`/api/v1/runs/${id}/stop`, text ? { reason: text } : {}),
    done: (count) => `The stop of ${words(count)} is asked for; each says when its trainer has done it.`,
  },
  delete: {
    title: (count) => `Delete ${words(count)}?`,
    words: "They leave the lists at once and are purged later; until then they can be restored under Deleted runs. Files on the trainers' boxes stay.",
    go: "Delete the runs",
    danger: true,
    only: (row) => ENDED.includes(statusOf(row)),
    none: "Every selected run is running; stop it first.",
    act: (id) => remove(`/api/v1/runs/${id}`),
    done: (count) => `${words(count)} deleted.`,
  },
};

export function selection() {
  const bar = document.getElementById("bulk");
  const dialog = document.getElementById("bulk-dialog");
  const form = dialog.querySelector("form");
  let chosen = null; // {act, ids} of the open dialog

  function draw() {
    document.querySelectorAll("#runs tr[data-run]").forEach((row) => {
      const is = runs.has(row.dataset.run);
      row.classList.toggle("picked", is);
      row.querySelector(".pick input").checked = is;
    });
    bar.hidden = !runs.size;
    document.getElementById("picked").textContent = `${runs.size} selected`;
    document.getElementById("compare").href = compareAddress();
    const boxes = [...document.querySelectorAll("#runs tbody .pick input")];
    const all = document.getElementById("pick-all");
    all.checked = boxes.length > 0 && boxes.every((box) => box.checked);
    all.indeterminate = !all.checked && boxes.some((box) => box.checked);
  }

  function toggle(row, is = !runs.has(row.dataset.run)) {
    if (is) runs.set(row.dataset.run, { name: nameOf(row), row });
    else runs.delete(row.dataset.run);
  }

  function ask(kind) {
    const act = ACTS[kind];
    const fit = [...runs].filter(([, { row }]) => !act.only || act.only(row));
    if (!fit.length) return say(act.none, true);
    chosen = { act, fit };
    form.reset();
    const left = runs.size - fit.length;
    document.getElementById("bulk-title").textContent = act.title(fit.length);
    document.getElementById("bulk-words").textContent = act.words + (left ? ` ${words(left)} of the selection ${left === 1 ? "is" : "are"} left out: ${kind === "stop" ? "over already" : "still running"}.` : "");
    document.getElementById("bulk-names").replaceChildren(...fit.map(([, { name }]) => Object.assign(document.createElement("li"), { textContent: name })));
    const input = document.getElementById("bulk-input");
    input.hidden = !act.input;
    input.firstElementChild.textContent = act.input || "";
    form.elements.text.required = kind === "tag";
    const go = document.getElementById("bulk-go");
    go.textContent = act.go;
    go.className = act.danger ? "danger" : "primary";
    dialog.showModal();
  }

  async function carryOut() {
    const { act, fit } = chosen;
    const text = form.elements.text.value.trim();
    let done = 0;
    const failed = [];
    for (const [id, one] of fit) {
      try {
        await act.act(id, one, text);
        done++;
        runs.delete(id);
        if (act === ACTS.tag) one.row.querySelector(".under").append(Object.assign(document.createElement("span"), { className: "chip", textContent: text }));
      } catch (error) {
        failed.push(`${one.name}: ${error.message}`);
      }
    }
    draw();
    if (failed.length) say(`${done ? `${act.done(done)} ` : ""}Not done for ${failed.join("; ")}`, true);
    else say(act.done(done));
  }

  document.addEventListener("change", (event) => {
    if (event.target.id === "pick-all") document.querySelectorAll("#runs tr[data-run]").forEach((row) => toggle(row, event.target.checked));
    else if (event.target.closest("#runs .pick")) toggle(event.target.closest("tr"), event.target.checked);
    else return;
    draw();
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-close]")) event.target.closest("dialog").close();
    const kind = event.target.closest("[data-bulk]")?.dataset.bulk;
    if (kind === "none") { runs.clear(); draw(); }
    else if (kind === "pin") pin();
    else if (kind) ask(kind);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    dialog.close();
    carryOut();
  });

  return {
    toggle: (row) => { toggle(row); draw(); },
    clear: () => { runs.clear(); draw(); },
    drop: (id) => { if (runs.delete(id)) draw(); },
    shown: draw,
    compare: () => { if (runs.size) location.assign(compareAddress()); },
  };
}

const compareAddress = () => at(`/compare?runs=${[...runs.keys()].join(",")}`);

// Pins what is selected; when all of it is pinned, takes it off.
function pin() {
  const before = [...document.querySelectorAll("#pinned tr[data-run]")].map((row) => row.dataset.run);
  const ids = [...runs.keys()];
  const off = ids.every((id) => before.includes(id));
  const pins = off ? before.filter((id) => !ids.includes(id)) : [...new Set([...before, ...ids])].slice(0, 20);
  remembered({ pin: pins });
}
