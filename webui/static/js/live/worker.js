// SharedWorker that holds the browser's only stream and passes it to the tabs (live.js). It outlives each
// tab. Tabs send heartbeats; one that was given up as silent starts anew when it returns.
import { Feed } from "./feed.js";

const SILENT_MS = 200_000; // a browser lets the timers of a hidden tab run once a minute
const feed = new Feed(new URL("../../../api/v1/events/shared", self.location));
const tabs = new Map(); // port -> its client

self.onconnect = ({ ports: [port] }) => {
  port.onmessage = ({ data }) => heard(port, data);
};

function heard(port, { kind, runs, table }) {
  const known = tabs.get(port);
  if (known) known.heard = Date.now();
  if (kind === "follow") {
    if (known) feed.remove(known);
    const client = { runs: new Map(runs), table, tell: (message) => port.postMessage(message), heard: Date.now() };
    tabs.set(port, client);
    feed.add(client);
  }
  if (kind === "alive") port.postMessage({ kind: known ? "here" : "again" });
  if (kind === "look") feed.check();
  if (kind === "bye") forget(port);
}

function forget(port) {
  if (tabs.has(port)) feed.remove(tabs.get(port));
  tabs.delete(port);
}

setInterval(() => {
  for (const [port, { heard }] of tabs) if (Date.now() - heard > SILENT_MS) forget(port);
}, 20_000);
