// Pages of tokens, webhooks, jobs: forms, acts with a confirmation that names what, the list renewed after each.
import { at } from "./address.js";
import { getPage, post, remove, say } from "./api.js";
import { keeping } from "./focus.js";
import { follow } from "./live/live.js";
import { tickRelativeTimes } from "./patch.js";

const RENEW_MS = 3_000;
const ACTS = {
  cancel: {
    ask: "Cancel",
    go: "Cancel the job",
    words: ({ held }) => `${held ? "Its worker ends it when it hears of it: after the completions that it is generating, or once its model is loaded. " : ""}What it brought so far stays, and it can be asked for again. A cancelled verification gives no verdict: the signals then decide alone, and may stop the run.`,
    send: post,
    done: ({ state }) => (state === "leased" ? "Its worker is asked to end it." : "Cancelled."),
  },
  revoke: { ask: "Revoke", words: "Whoever holds it is refused from now on; it cannot be undone.", send: remove, done: "Revoked." },
  remove: { ask: "Remove", words: "What still waits for it is dropped, and its secret is forgotten.", send: remove, done: "Removed." },
  test: { send: post, done: "A test is on its way; what came of it stands below in a moment." },
  retry: { send: post, done: "It is sent again." },
};
const renewed = document.getElementById("renewed");
const sure = document.getElementById("sure");
let asked = null;
let last = null; // what the list was made of

// `atOnce`: after an act of this page; else not while somebody fills something in. A focused button keeps its focus.
async function renew(atOnce = false) {
  const page = await getPage(location.pathname.slice(at("").length) + location.search);
  const fresh = page.getElementById("renewed");
  const here = document.getElementById("renewed");
  if (!atOnce && here.querySelector("input:focus, select:focus, textarea:focus, details[open]")) return;
  if (fresh.innerHTML === last) return;
  last = fresh.innerHTML;
  const read = [...here.querySelectorAll("pre.tail")].map((el) => (atEnd(el) ? Infinity : el.scrollTop));
  keeping(here, () => here.replaceChildren(...fresh.childNodes));
  toTail(here, read);
  tickRelativeTimes(here);
}

// A log shows its end, but where a person scrolled up to read stays.
const atEnd = (el) => el.scrollTop + el.clientHeight >= el.scrollHeight - 8;
function toTail(root, read = []) {
  root.querySelectorAll("pre.tail").forEach((el, i) => { el.scrollTop = Math.min(read[i] ?? Infinity, el.scrollHeight); });
}

async function attempt(work) {
  try {
    await work();
  } catch (error) {
    say(error.message, true);
  }
}

async function act(button) {
  const { send, done } = ACTS[button.dataset.act];
  const answer = await send(button.dataset.path);
  say(typeof done === "function" ? done(answer) : done);
  await renew(true);
}

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-close]")) event.target.closest("dialog").close();
  const button = event.target.closest("[data-act]");
  if (!button) return;
  const { ask, go, words } = ACTS[button.dataset.act];
  if (!ask) return attempt(() => act(button));
  asked = button;
  document.getElementById("sure-title").textContent = `${ask} ${button.dataset.name}?`;
  document.getElementById("sure-words").textContent = typeof words === "function" ? words({ held: button.dataset.held === "True" }) : words;
  document.getElementById("sure-go").textContent = go || ask;
  sure.showModal();
});
sure?.querySelector("form").addEventListener("submit", () => attempt(() => act(asked)));

const form = document.getElementById("new");
form?.addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(async () => {
    const given = new FormData(form);
    const body = {};
    for (const name of new Set(given.keys())) {
      const many = form.querySelector(`input[type=checkbox][name="${name}"]`);
      const value = many ? given.getAll(name) : given.get(name).trim();
      if (value.length) body[name] = value;
    }
    const made = await post(form.dataset.path, body);
    document.getElementById("secret").textContent = made[form.dataset.once];
    document.getElementById("once").hidden = false;
    say("Made."); // what was said of an attempt before this one is over
    form.reset();
    await renew();
  });
});
document.getElementById("copy")?.addEventListener("click", () => attempt(async () => {
  const secret = document.getElementById("secret");
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(secret.textContent);
    say("Copied.");
  } else {
    getSelection().selectAllChildren(secret); // over plain http there is no clipboard
    say("Selected; copy it by key.");
  }
}));
tickRelativeTimes();
if (renewed) toTail(renewed);
if (renewed) setInterval(() => { if (!document.hidden) renew().catch((error) => { if (!error.away) say(error.message, true); }); }, RENEW_MS);
// Times are told by the monitor's clock, which its stream brings.
follow({ runs: [], table: true }, { events: () => {}, opened: () => {}, anew: () => {}, database: () => location.reload() });
setInterval(tickRelativeTimes, 1000);
