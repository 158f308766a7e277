// Calls to the REST API. A failure throws an Error whose message is the sentence to show.
import { at, loginAddress } from "./address.js";

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

export const getJson = (path) => call(path, {});

async function call(path, options) {
  let response;
  try {
    response = await fetch(at(path), options);
  } catch {
    throw new Error("The monitor cannot be reached. Nothing was changed; try again when the page is live again.");
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(detail(answer) || `The monitor answered ${response.status} ${response.statusText}.`);
  return answer;
}

const detail = (answer) => (typeof answer.detail === "string" ? answer.detail : answer.title);

export async function getFragment(path) {
  const response = await fetch(at(path), { headers: { Accept: "text/html" } });
  if (response.redirected || response.status === 401) location.assign(loginAddress()); // the session has ended
  if (!response.ok || response.redirected) throw new Error(`The monitor answered ${response.status} for ${path}.`);
  const holder = document.createElement("template");
  holder.innerHTML = await response.text();
  return holder.content.firstElementChild;
}
