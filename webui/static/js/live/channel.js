// This tab's connection to the monitor: the browser's shared stream (worker.js) where SharedWorkers exist,
// else its own stream, which is paused while other tabs are in use, to bound the number of streams.
import { Feed } from "./feed.js";

const ALIVE_MS = 5_000;
const MOST_OWN = 3; // streams of tabs without a shared worker; a browser has six connections to a host
const STREAM = new URL("../../../api/v1/events/shared", import.meta.url);

// `wants` is {runs: Map(run -> cursor), table}; its cursors are moved by what is told.
export function join(wants, tell) {
  const hear = (message) => {
    if (message.kind === "events" && message.run) wants.runs.set(message.run, message.cursor);
    if (message.kind === "reset") wants.runs.set(message.run, message.cursor);
    if (message.kind === "gone") wants.runs.delete(message.run);
    try {
      tell(message);
    } catch (error) {
      reportError(error); // the page's fault is not the stream's
    }
  };
  const joined = shared(wants, hear) || alone(wants, hear);
  const look = () => { if (document.visibilityState === "visible") joined.look(); };
  document.addEventListener("visibilitychange", look);
  addEventListener("online", look);
  addEventListener("focus", look);
  addEventListener("pagehide", () => joined.leave());
  addEventListener("pageshow", (event) => { if (event.persisted) joined.start(); });
  joined.start();
}

function shared(wants, hear) {
  const address = document.getElementById("live").dataset.worker;
  if (!globalThis.SharedWorker || !address) return null;
  let port = null;
  let own = null; // the stream of this tab, once the worker has failed
  let [asked, failed] = [0, 0];
  const post = (message) => port?.postMessage(message);
  const leave = () => {
    post({ kind: "bye" });
    if (port) port.onmessage = null;
    port = null;
  };
  const start = () => {
    leave();
    if (own) { own.start(); return; }
    try {
      const worker = new SharedWorker(address, { type: "module", name: "cusp" });
      worker.onerror = giveUp;
      port = worker.port;
    } catch { giveUp(); return; }
    asked = 0;
    port.onmessage = ({ data }) => {
      [asked, failed] = [0, 0];
      if (data.kind === "again") follow();
      else if (data.kind !== "here") hear(data);
    };
    follow();
  };
  const follow = () => post({ kind: "follow", runs: [...wants.runs], table: wants.table });
  const giveUp = () => {
    if (own) return;
    leave();
    own = alone(wants, hear);
    own.start();
  };
  // A worker that does not answer was ended with the process it lived in: the next one takes over.
  setInterval(() => {
    if (own || !port) return;
    if (asked && ++failed > 2) giveUp();
    else if (asked) start();
    else { asked = Date.now(); post({ kind: "alive" }); }
  }, ALIVE_MS);
  return {
    start,
    leave: () => { leave(); own?.leave(); },
    look: () => { if (own) own.look(); else post({ kind: "look" }); },
  };
}

function alone(wants, hear) {
  const feed = new Feed(STREAM);
  const client = { runs: wants.runs, table: wants.table, tell: hear };
  const tabs = globalThis.BroadcastChannel ? new BroadcastChannel("cusp-streams") : null;
  const self = Math.random().toString(36).slice(2);
  const newer = new Set(); // the tabs that were used since this one was
  const claim = () => {
    newer.clear();
    tabs?.postMessage(self);
    if (!feed.clients.has(client)) feed.add(client);
    else feed.check();
  };
  const rest = () => {
    if (!feed.clients.has(client)) return;
    feed.remove(client);
    hear({ kind: "state", state: "resting" });
  };
  if (tabs) {
    tabs.onmessage = ({ data }) => {
      newer.add(data);
      if (newer.size >= MOST_OWN) rest();
    };
  }
  // Not on pointerdown: the banner goes, and what was pressed would move away under the pointer.
  addEventListener("click", claim);
  addEventListener("keydown", claim);
  document.addEventListener("visibilitychange", () => { if (!tabs && document.hidden) rest(); });
  return { start: claim, leave: () => feed.remove(client), look: claim };
}
