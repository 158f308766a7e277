// Sections of a run's page, fetched as HTML when they change.
import { getFragment, say } from "./api.js";
import { sayCommands } from "./actions.js";
import { replace } from "./focus.js";
import { tickRelativeTimes } from "./patch.js";

// Maps a change to the sections of the page that it affects.
export const TOUCHES = {
  checkpoints: ["checkpoints", "evaluations", "marks"],
  evaluations: ["evaluations", "checkpoints", "marks"],
  change_points: ["transition", "proposal", "checkpoints", "samples", "marks"],
  commands: ["commands", "transition", "proposal", "verifications", "decisions", "marks"],
  decisions: ["decisions", "transition", "proposal", "verifications"],
  verifications: ["verifications", "transition", "decisions", "marks"],
  jobs: ["jobs", "verifications"],
  samples: ["samples"],
  quarantine: ["header"],
  roles: ["roles"],
  cost: ["cost"],
  about: ["header", "decisions"], // its name, tags, notes
};
export const ALL = ["header", "proposal", "commands", "transition", "verifications", "roles", "jobs", "checkpoints", "evaluations", "cost", "samples", "decisions", "marks"];

// Returns {refresh(...names), retry()}; `marked` is called with the renewed marks of the charts.
export function sections(id, marked) {
  const waiting = new Set();
  const missed = new Set();
  let refreshing = false;

  function refresh(...names) {
    for (const name of names) waiting.add(name);
    if (!refreshing) refreshAll();
  }

  async function refreshAll() {
    refreshing = true;
    await new Promise((done) => setTimeout(done, 60)); // changes of one transaction come together
    while (waiting.size) {
      const names = [...waiting];
      waiting.clear();
      await Promise.all(names.map(swap));
    }
    refreshing = false;
  }

  async function swap(name) {
    try {
      const fresh = await getFragment(`/runs/${encodeURIComponent(id)}/sections/${name}`);
      const old = document.getElementById(`section-${name}`);
      keepOpen(old, fresh);
      replace(old, fresh);
      if (name === "header") document.title = `${fresh.querySelector("h1").textContent.trim()} · Cusp`;
      if (name === "marks") marked(fresh.textContent);
      if (name === "commands") sayCommands(fresh);
      tickRelativeTimes(fresh);
    } catch (error) {
      missed.add(name); // read again once the stream is back
      if (!error.away) say(`A part of the page could not be renewed (${name}): ${error.message}`, true);
    }
  }

  function retry() {
    refresh(...missed);
    missed.clear();
  }

  return { refresh, retry };
}

// What a person opened or scrolled stays so; the focus: focus.js.
function keepOpen(old, fresh) {
  const named = (el) => el.querySelector("summary").textContent.replace(/\d+\s*$/, "");
  const before = new Map([...old.querySelectorAll("details")].map((el) => [named(el), el.open]));
  fresh.querySelectorAll("details").forEach((el) => { el.open = before.get(named(el)) ?? el.open; });
  const boxes = [...old.querySelectorAll(".scroll")].map((el) => el.scrollTop);
  requestAnimationFrame(() => fresh.querySelectorAll(".scroll").forEach((el, i) => { el.scrollTop = boxes[i] || 0; }));
}
