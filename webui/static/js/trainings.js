// New trainings: the form with what the workers can train, and the trainings that were submitted.
import { at } from "./address.js";
import { getJson, post, say } from "./api.js";

const LOOK_EVERY_MS = 2_000; // while the list is open, also after a request that failed
const STATES = { queued: "waiting for a worker", leased: "at work", done: "done", failed: "failed" };

export function listTrainings() {
  const list = document.getElementById("trainings");
  const form = document.getElementById("new-training");
  const rows = list.querySelector("tbody");
  let timer = null;

  async function readWorkers() {
    const { workers } = await getJson("/api/v1/workers");
    form.hidden = !workers.length;
    document.getElementById("no-workers").hidden = workers.length > 0;
    const names = (found) => [...new Set(found)].sort();
    choose(form.elements.recipe, names(workers.flatMap((one) => one.recipes)).map((name) => new Option(name, name)));
    const boxes = names(workers.map((one) => one.box)).map((name) => new Option(name, name));
    choose(form.elements.box, [new Option("the next free one", ""), ...boxes]);
  }

  async function read() {
    clearTimeout(timer);
    try {
      await readWorkers();
      const { trainings } = await getJson("/api/v1/trainings");
      rows.replaceChildren(...trainings.map(row));
      document.getElementById("trainings-box").hidden = !trainings.length;
    } finally {
      clearTimeout(timer); // of a read that began meanwhile
      if (list.open) timer = setTimeout(() => said(read), LOOK_EVERY_MS);
    }
  }

  function row(training) {
    const { submitted, progress, run } = training;
    const made = document.createElement("tr");
    made.dataset.training = training.id;
    const named = cell("", "Training");
    const shown = run ? Object.assign(document.createElement("a"), { href: at(`/runs/${training.run_id}`) }) : document.createElement("b");
    shown.textContent = run ? run.name : submitted.recipe;
    shown.title = [submitted.recipe, ...submitted.overrides].join("\n");
    named.append(shown);
    const state = cell(stateOf(training), "State");
    const far = progress?.total ? `${progress.text}, ${progress.done} of ${progress.total}` : progress?.text;
    made.append(named, state, cell(training.worker ?? (submitted.box ? `(box ${submitted.box})` : "–"), "Worker"), cell(submitted.author, "Asked by"), cell(training.error ?? far ?? "–", "Progress"));
    const last = cell("");
    last.className = "actions";
    const log = Object.assign(document.createElement("a"), { href: at(`/jobs/${training.id}`), textContent: "Log" });
    log.setAttribute("aria-label", `Log of the training ${submitted.recipe}`);
    last.append(log);
    // One whose run is there is stopped on its page.
    if (training.state === "queued" || (training.state === "leased" && !run)) last.append(" ", cancel(training));
    made.append(last);
    return made;
  }

  function cancel(training) {
    const button = Object.assign(document.createElement("button"), { type: "button", className: "small", textContent: "Cancel" });
    button.setAttribute("aria-label", `Cancel the training ${training.submitted.recipe}`);
    button.addEventListener("click", () => acting(button, async () => {
      await post(`/api/v1/trainings/${training.id}/cancel`);
      say("The training is cancelled.");
      await read();
    }));
    return button;
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const { recipe, box, processes, overrides } = form.elements;
    const lines = overrides.value.split("\n").map((line) => line.trim()).filter(Boolean);
    const body = { recipe: recipe.value, overrides: lines, box: box.value || null, processes: Number(processes.value) || null };
    acting(event.submitter, async () => {
      await post("/api/v1/trainings", body);
      say(`Training ${recipe.value} is queued; it begins when a worker takes it.`);
      overrides.value = "";
      await read();
    });
  });
  list.addEventListener("toggle", () => { if (list.open) said(read); });
  if (location.hash === "#trainings") list.open = true;
}

function stateOf({ state, run, lease_lost: lost, cancelled_by: by }) {
  if (lost) return "its worker is silent";
  if (by && state === "failed") return "cancelled";
  return run && state === "leased" ? run.status : STATES[state];
}

// What was chosen stays chosen where it is still there; an open list is not closed by what is the same.
function choose(select, options) {
  const before = select.value;
  const same = options.length === select.options.length && options.every((one, n) => one.value === select.options[n].value);
  if (same) return;
  select.replaceChildren(...options);
  if (options.some((one) => one.value === before)) select.value = before;
}

async function acting(button, work) {
  button.disabled = true;
  await said(work);
  button.disabled = false;
}

async function said(work) {
  try {
    await work();
  } catch (error) {
    say(error.message, true);
  }
}

function cell(text, label) {
  const made = document.createElement("td");
  if (label) made.dataset.label = label;
  made.textContent = text;
  return made;
}
