// Updates the marked elements of a table row or of the run page's header from a run summary.
import { now } from "./live/clock.js";
import { ago, duration, interval, isNumber, number, percent, usd, whole, UNKNOWN } from "./format.js";

const ENDED = ["stopped", "finished", "failed"];
const METRICS = { format: "format_reward", length: "completion_length", accuracy: "accuracy_reward" };

const words = (phase) => (phase ? phase.replaceAll("_", " ") : UNKNOWN);
const dim = (text) => Object.assign(document.createElement("span"), { className: "dim", textContent: text });

// As verdict_words.py splits them: the header has the verdict's first sentence, the card the others.
const sentences = (text) => (text || "").trim().split(/(?<=[.!?])\s+(?=[A-Z])/).filter(Boolean);
export const headline = (run) => sentences(run.words || run.phase_description)[0] || UNKNOWN;

export function patchRun(root, run) {
  const put = (field, ...parts) =>
    root.querySelectorAll(`[data-f="${field}"]`).forEach((el) => {
      el.replaceChildren(...parts);
      if (el.matches("td")) el.toggleAttribute("data-none", parts[0] === UNKNOWN); // a phone leaves it out
    });
  const pill = (field, kind, value) =>
    root.querySelectorAll(`[data-f="${field}"]`).forEach((el) => {
      el.className = kind;
      el.textContent = value;
    });
  pill("status", `pill s-${run.status}`, run.status);
  const phase = run.step === null ? null : run.phase; // without a step there is nothing that it says
  pill("phase", `pill phase p-${phase || "none"}`, words(phase));
  put("phase_description", headline(run));
  put("step", whole(run.step));
  put("max_steps", whole(run.max_steps));
  put("attempt_count", whole(run.attempt_count));
  put("saved", percent(run.saved_fraction, 0));
  put("spent", usd(run.spent_usd));
  put("saved_usd", usd(run.saved_usd));
  const t = run.transition && run.transition.state !== "dismissed" ? run.transition : null;
  put("transition", ...(t ? [whole(t.step), " ", dim(`${t.low}–${t.high}`)] : [UNKNOWN]));
  put("kept", whole(kept(run)?.step));
  const s = run.score;
  put("score_of", s ? `${s.alias || UNKNOWN}, step ${whole(s.step)}${s.task ? `, ${s.task}` : ""}` : "");
  put("score", ...(s ? [percent(s.pass_at_1), " ", dim(interval(s.low, s.high))] : [UNKNOWN]));
  const known = new Set(sentences(run.words || run.phase_description));
  const unsaid = sentences(run.status_reason).filter((one) => !known.has(one)).join(" ");
  root.querySelectorAll('[data-f="status_reason"]').forEach((el) => {
    el.textContent = unsaid;
    el.hidden = !unsaid;
  });
  const share = isNumber(run.step) && run.max_steps ? Math.min(1, run.step / run.max_steps) : 0;
  root.querySelectorAll('[data-f="progress"]').forEach((el) => el.setAttribute("width", (100 * share).toFixed(1)));
  patchTimes(root, run);
  for (const name of Object.values(METRICS)) patchMetric(root, name, run);
}

const kept = (run) => run.checkpoints?.["pre-transition"] || run.checkpoints?.best;

function patchTimes(root, run) {
  root.querySelectorAll('[data-f="last_contact"]').forEach((el) => {
    const time = el.querySelector("time") || el.appendChild(document.createElement("time"));
    if (el.firstChild !== time) el.replaceChildren(time);
    time.dateTime = run.last_contact_at || "";
    time.dataset.relative = "";
    tick(time);
  });
  root.querySelectorAll('[data-f="elapsed"]').forEach((el) => {
    el.textContent = duration(run.elapsed_s); // all attempts together, without the time between them
  });
}

function patchMetric(root, name, run) {
  const cell = root.querySelector(`.metric.m-${name}`);
  if (!cell) return;
  cell.querySelector(`[data-f="${name}"]`).textContent = number(run.latest?.[name]);
  const points = sparkPoints((run.sparklines?.[name] || []).filter(isNumber), name.endsWith("_reward") ? [0, 1] : []);
  cell.querySelector("polyline").setAttribute("points", points.map((p) => p.join(",")).join(" "));
  const [x, y] = points.at(-1) || [-9, -9];
  cell.querySelector("circle")?.setAttribute("cx", x);
  cell.querySelector("circle")?.setAttribute("cy", y);
}

function sparkPoints(values, within) {
  const [low, high] = [Math.min(...values, ...within), Math.max(...values, ...within)];
  const step = 68 / Math.max(1, values.length - 1);
  const share = (v) => (high === low ? 0.5 : (high / 2 - v / 2) / (high / 2 - low / 2 || 1)); // halves: no overflow
  return values.map((v, i) => [(2 + i * step).toFixed(1), (2 + 16 * share(v)).toFixed(1)]);
}

export const hasEnded = (run) => ENDED.includes(run.status);

export function tickRelativeTimes(root = document) {
  root.querySelectorAll("time[data-relative]").forEach(tick);
}

// Until the monitor's clock is known the time itself stays.
function tick(el) {
  const known = now();
  if (known === null && el.textContent) return;
  const text = el.dateTime && known !== null ? ago(el.dateTime, known) : UNKNOWN;
  if (el.textContent !== text) el.textContent = text;
}
