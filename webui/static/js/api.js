// REST client. A failure throws an Error whose message is the sentence to show; its `away` is true if the
// page already shows that the monitor is away or the session has ended.
import { at } from "./address.js";
import { refused } from "./live/live.js";

const MOST_MS = 20_000; // the most that a request may take, whole histories apart
const MOST_READING_MS = 90_000;
let sayTimer = null;

export function say(text, bad = false) {
  const said = document.getElementById("said");
  said.textContent = text;
  said.classList.toggle("bad", bad);
  clearTimeout(sayTimer);
  sayTimer = setTimeout(() => { said.textContent = ""; }, bad ? 20000 : 8000);
  said.onclick = () => { said.textContent = ""; };
}

export async function post(path, body = {}) {
  return call(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "Idempotency-Key": key() },
    body: JSON.stringify(body),
  });
}

export async function patch(path, body) {
  return call(path, { method: "PATCH", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
}

export const remove = (path) => call(path, { method: "DELETE", headers: { "Idempotency-Key": key() } });

// crypto.randomUUID exists only on https and localhost; a monitor on a LAN has neither.
function key() {
  if (crypto.randomUUID) return crypto.randomUUID();
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
}

export const getJson = (path) => call(path, {}, MOST_READING_MS);

// The answer with its tag, or null where nothing has changed since the one with the tag given.
export const getIfChanged = (path, tag) => within(MOST_READING_MS, path, tag ? { headers: { "If-None-Match": tag }, cache: "no-store" } : { cache: "no-store" }, async (response) => {
  if (response.status === 304) return null;
  if (response.status === 401) throw away("You are logged out.");
  const answer = await response.json();
  if (!response.ok) throw new Error(detail(answer));
  return { answer, tag: response.headers.get("ETag") };
});

async function call(path, options, most = MOST_MS) {
  return within(most, path, options, async (response) => {
    const answer = await response.json().catch((error) => { if (response.ok) throw error; return {}; });
    if (response.status === 401) throw away("You are logged out; nothing was changed.");
    if (!response.ok) throw new Error(detail(answer) || `The monitor answered ${response.status} ${response.statusText}.`);
    return answer;
  });
}

// Fetches and reads within a time limit; what cannot be had becomes a sentence.
async function within(most, path, options, read) {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), most);
  const acts = options.method ? "It may have been done all the same; look before you ask again." : "Try again in a while.";
  try {
    return await read(await reached(fetch(at(path), { ...options, signal: controller.signal })));
  } catch (error) {
    if (controller.signal.aborted) throw new Error(`The monitor did not answer within ${most / 1000} s. ${acts}`);
    if (error instanceof SyntaxError) throw new Error("The monitor's answer broke off. Try again in a while.");
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

async function reached(fetching) {
  let response;
  try {
    response = await fetching;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw away("The monitor cannot be reached. Nothing was changed; try again when the page is live again.");
  }
  if (response.status === 401 || (response.redirected && new URL(response.url).pathname.endsWith("/login"))) refused();
  return response;
}

const away = (sentence) => Object.assign(new Error(sentence), { away: true });
const detail = (answer) => (typeof answer.detail === "string" ? answer.detail : answer.title);

export async function getFragment(path) {
  const holder = document.createElement("template");
  holder.innerHTML = await html(path);
  return holder.content.firstElementChild;
}

export const getPage = async (path) => new DOMParser().parseFromString(await html(path), "text/html");

const html = (path) => within(MOST_MS, path, { headers: { Accept: "text/html" } }, async (response) => {
  if (response.redirected) throw away("You are logged out.");
  if (!response.ok) throw new Error(`The monitor answered ${response.status} for ${path}.`);
  return response.text();
});
