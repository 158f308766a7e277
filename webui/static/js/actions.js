// Buttons of a run (stop, verify, resume, promote, pin, evaluate, export, delete): confirm, post, show the result.
import { at } from "./address.js";
import { openDialog } from "./focus.js";
import { patch, post, remove, say } from "./api.js";
import { toldRoles } from "./roles.js";

const FINAL = ["done", "refused", "expired"];
const STATES = {
  open: "asked; waiting for the trainer to hear it",
  delivered: "the trainer has heard it",
  agreed: "all ranks agree",
  done: "done",
  refused: "refused",
  expired: "expired",
};
const NAMES = { stop: "Stop", keep: "Keep", verify: "Verification" };
const watched = new Map(); // command id -> last state said

// Says each new state of the commands that this page has asked for.
export function sayCommands(root) {
  for (const el of root?.querySelectorAll("[data-command]") || []) {
    const { command, kind, state } = el.dataset;
    if (!watched.has(command) || watched.get(command) === state) continue;
    watched.set(command, state);
    say(`${NAMES[kind] || kind}: ${STATES[state] || state}.`, state === "refused" || state === "expired");
    if (FINAL.includes(state)) watched.delete(command);
  }
}

const runId = () => document.getElementById("run").dataset.run;

export function listen({ refresh, savePicture }) {
  async function stop(reason) {
    const command = await post(`/api/v1/runs/${runId()}/stop`, reason ? { reason } : {});
    watched.set(command.id, command.state);
    say(`Stop: ${STATES[command.state]}.`);
    refresh("commands", "transition", "proposal");
  }

  async function pin(checkpoint, step) {
    const command = await post(`/api/v1/checkpoints/${checkpoint}/pin`);
    watched.set(command.id, command.state);
    say(`Pin of checkpoint ${step}: ${STATES[command.state]}.`);
    refresh("commands");
  }

  // The usable checkpoints, the one of the best alias first chosen; without any there is nothing to confirm.
  function choose(dialog, none, chosen) {
    const rows = [...section().querySelectorAll("tr[data-usable]")];
    const aliases = (row) => [...row.querySelectorAll("[class*='chip a-']")].map((chip) => chip.textContent);
    const options = rows.map((row) => {
      const option = new Option([`step ${row.dataset.step}`, ...aliases(row)].join(" · "), row.dataset.checkpoint);
      option.dataset.step = row.dataset.step;
      return option;
    });
    const select = dialog.querySelector("select");
    select.replaceChildren(...(options.length ? options : [new Option(none, "")]));
    const held = ["best", "pre-transition"].map((alias) => rows.find((row) => aliases(row).includes(alias))).find(Boolean);
    select.value = chosen || held?.dataset.checkpoint || options[0]?.value || "";
    dialog.querySelector("[data-confirm]").disabled = !options.length;
  }

  const section = () => document.getElementById("section-checkpoints");
  const status = () => document.querySelector('#section-header [data-f="status"]').textContent;
  const act = {
    stop: () => { open("stop-dialog").querySelector('[data-slot="silent"]').hidden = status() !== "lost"; },
    keep: () => choose(open("keep-dialog"), "no checkpoint yet"),
    accept: () => stop("the proposal was accepted"),
    dismiss: (button) => { open("dismiss-dialog").dataset.points = button.dataset.points; },
    verify: () => open("verify-dialog"),
    "cancel-job": (button) => {
      const dialog = open("cancel-job-dialog");
      dialog.dataset.job = button.dataset.of;
      dialog.querySelector('[data-slot="kind"]').textContent = button.dataset.kind;
    },
    promote: (button) => {
      const dialog = open("promote-dialog");
      const { production, productionStep } = section().dataset;
      const { checkpoint, step } = button.dataset;
      dialog.dataset.expected = production;
      choose(dialog, "no checkpoint yet", checkpoint);
      dialog.querySelector('[data-slot="choose"]').hidden = Boolean(checkpoint);
      dialog.querySelector('[data-slot="step"]').textContent = step || "";
      dialog.querySelector('[data-slot="current"]').textContent = production
        ? `production is now checkpoint ${productionStep}. The change is kept in the audit log.`
        : "No checkpoint is in production now. The change is kept in the audit log.";
    },
    resume: () => {
      const steps = [...section().querySelectorAll("tr[data-usable]")].map((el) => el.dataset.step);
      const finished = status() === "finished";
      const choices = finished ? [] : [new Option("where it ended", "")];
      choices.push(...steps.map((step) => new Option(`checkpoint ${step}`, step)));
      open("resume-dialog").querySelector("select").replaceChildren(...choices);
    },
    delete: () => {
      const dialog = open("delete-dialog");
      dialog.querySelector('[data-slot="promoted"]').hidden = !section().querySelector("tr.marked");
    },
    pin: (button) => pin(button.dataset.checkpoint, button.dataset.step),
    evaluate: async (button) => {
      const { checkpoint, step } = button.dataset;
      await post(`/api/v1/runs/${runId()}/evaluate`, checkpoint ? { checkpoints: [checkpoint] } : {});
      say(checkpoint ? `Evaluation of checkpoint ${step} is queued.` : "Evaluation of the candidates is queued.");
      refresh("jobs");
    },
    export: async (button) => {
      await post(`/api/v1/checkpoints/${button.dataset.checkpoint}/export`);
      say(`Export of checkpoint ${button.dataset.step} is queued; a worker on its box writes it.`);
      refresh("jobs");
    },
    roles: () => open("roles-dialog"),
    describe: () => {
      const { elements } = open("describe-dialog").querySelector("form");
      const { name, tags, notes } = document.getElementById("described").dataset;
      Object.assign(elements.name, { value: name });
      Object.assign(elements.tags, { value: tags });
      Object.assign(elements.notes, { value: notes });
    },
    picture: (button) => savePicture(button.dataset.format),
  };
  const confirmed = {
    stop: (form) => stop(form.elements.reason.value.trim()),
    keep: (form) => pin(form.elements.checkpoint.value, form.elements.checkpoint.selectedOptions[0].dataset.step),
    dismiss: async (form, dialog) => {
      for (const point of dialog.dataset.points.split(" ")) await patch(`/api/v1/change-points/${point}`, { state: "dismissed" });
      say("Dismissed: the run goes on.");
      refresh("header", "proposal", "transition", "decisions", "marks");
    },
    verify: async () => {
      const asked = await post(`/api/v1/runs/${runId()}/verifications`);
      if (asked.command_id) watched.set(asked.command_id, asked.state);
      say(`Verification: ${STATES[asked.state] || "asked of a worker"}.`);
      refresh("verifications", "commands", "jobs");
    },
    cancelJob: async (form, dialog) => {
      const { state, kind } = await post(`/api/v1/jobs/${dialog.dataset.job}/cancel`);
      say(state === "leased" ? `The worker is asked to end the ${kind} job.` : `The ${kind} job is cancelled.`);
      refresh("jobs", "verifications", "decisions");
    },
    resume: async (form) => {
      const step = form.elements.step.value;
      await post(`/api/v1/runs/${runId()}/resume`, step ? { step: Number(step) } : {});
      say(`Resume from ${step ? `checkpoint ${step}` : "where it ended"} is queued; it begins when a worker takes it.`);
      refresh("jobs", "header");
    },
    delete: async (form) => {
      await remove(`/api/v1/runs/${runId()}${form.elements.promoted.checked ? "?confirm_promoted=true" : ""}`);
      location.assign(at("/#deleted"));
    },
    describe: async ({ elements }) => {
      const tags = elements.tags.value.split(",").map((tag) => tag.trim()).filter(Boolean);
      await patch(`/api/v1/runs/${runId()}`, { name: elements.name.value, tags, notes: elements.notes.value });
      say("Saved.");
      refresh("header");
    },
    roles: (form) => changeRoles(toldRoles(form)),
    rules: () => changeRoles({}),
    promote: async (form, dialog) => {
      const { expected } = dialog.dataset;
      const checkpoint = form.elements.checkpoint.value;
      const body = { alias: "production", expected_current: expected || null };
      const { verified } = await post(`/api/v1/checkpoints/${checkpoint}/promote`, body);
      say(verified ? "Promoted to production." : "Promoted to production, not verified: its box is asked to hash the files.");
      refresh("checkpoints", "decisions", "marks");
    },
  };

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-close]")) dismiss(event.target.closest("dialog"));
    const button = event.target.closest("[data-action]");
    if (button) attempt(button, () => act[button.dataset.action](button));
  });
  // Escape, which does not bubble.
  document.addEventListener("cancel", (event) => event.target.querySelector?.("form")?.reset(), true);
  document.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (!button?.dataset.confirm) return;
    event.preventDefault();
    const dialog = event.target.closest("dialog");
    dialog.close();
    attempt(button, () => confirmed[button.dataset.confirm](event.target, dialog));
  });
}

const open = (id) => openDialog(document.getElementById(id));

// What was put aside is not there when the dialog is opened again; what the monitor refused is.
function dismiss(dialog) {
  dialog.close();
  dialog.querySelector("form")?.reset();
}

// The button rests while its request is under way; a failure is said as the monitor put it.
async function attempt(button, work) {
  button.setAttribute("aria-busy", "true");
  try {
    await work();
  } catch (error) {
    say(error.message, true);
  } finally {
    button.removeAttribute("aria-busy");
  }
}

// Charts, verdicts and words are other ones then: the page is read anew.
async function changeRoles(roles) {
  await patch(`/api/v1/runs/${runId()}`, { roles });
  location.reload();
}
