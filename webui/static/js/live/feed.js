// Multiplexes one event stream of the monitor to many clients: the tabs of a browser (worker.js), or one page.
// It subscribes to the union of their topics from the least cursor, and gives each client what is new to it.
// Uses fetch, as EventSource hides the reason of a refusal and a stalled connection.
const ANSWER_MS = 10_000; // the most that an answer may take to begin
const SILENCE_MS = 40_000; // the monitor says something every 15 s
const FIRST_WAIT_MS = 500;
const MOST_WAIT_MS = 15_000;
const MOST_RUNS = 100; // as the monitor takes
const SETTLE_MS = 30; // tabs that open together cost one connection

export class Feed {
  constructor(url) {
    this.url = url;
    this.clients = new Set(); // {runs: Map(run -> cursor), table: bool, tell(message)}
    this.state = { kind: "state", state: "connecting" };
    this.connection = null;
    this.timer = null;
    this.wait = FIRST_WAIT_MS;
    setInterval(() => this.watch(), 5_000);
  }

  add(client) {
    this.clients.add(client);
    client.tell(this.state);
    this.soon(SETTLE_MS);
  }

  remove(client) {
    if (!this.clients.delete(client)) return;
    if (!this.clients.size) this.drop();
  }

  // Called when a tab is looked at, the machine wakes up or is online again.
  check() {
    const silent = this.connection?.answered && Date.now() - this.connection.heard > SILENCE_MS / 2;
    if (silent || (!this.connection && this.clients.size)) this.soon(0);
  }

  watch() {
    if (this.connection && Date.now() - this.connection.heard > SILENCE_MS) this.lost(this.connection);
  }

  soon(ms) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.open(), ms);
  }

  drop() {
    clearTimeout(this.timer);
    this.connection?.controller.abort();
    this.connection = null;
  }

  tellAll(message) {
    for (const client of [...this.clients]) client.tell(message);
  }

  become(state, detail = "") {
    this.state = { kind: "state", state, detail };
    this.tellAll(this.state);
  }

  lost(connection, wait = 0) {
    if (connection !== this.connection) return; // another has taken its place
    this.drop();
    this.become("lost");
    this.again(wait);
  }

  again(wait) {
    this.soon(wait || this.wait * (0.7 + 0.6 * Math.random()));
    this.wait = Math.min(2 * this.wait, MOST_WAIT_MS);
  }

  wanted() {
    const runs = new Map();
    for (const client of [...this.clients].reverse()) { // the newest first, if there are too many
      for (const [run, cursor] of client.runs) {
        if (!runs.has(run) && runs.size >= MOST_RUNS) continue;
        runs.set(run, Math.min(cursor, runs.get(run) ?? Infinity));
      }
    }
    return { runs, table: [...this.clients].some((client) => client.table) };
  }

  async open() {
    this.drop();
    if (!this.clients.size) return;
    const { runs, table } = this.wanted();
    const asked = new URL(this.url);
    for (const [run, cursor] of runs) asked.searchParams.append("run", `${run}:${cursor}`);
    if (table) asked.searchParams.set("table", "true");
    const controller = new AbortController();
    // Until it answers it may be silent for less long than later on.
    const connection = { controller, answered: false, heard: Date.now() - SILENCE_MS + ANSWER_MS, run: null, group: [] };
    this.connection = connection;
    try {
      const headers = { Accept: "text/event-stream" };
      const answer = await fetch(asked, { headers, signal: controller.signal, cache: "no-store", redirect: "manual" });
      if (connection !== this.connection) return;
      connection.answered = true;
      if (!answer.ok) { await this.refused(connection, answer); return; }
      await this.read(connection, answer.body);
    } catch { /* it was aborted, or broke off */ }
    this.lost(connection);
  }

  async refused(connection, answer) {
    const problem = await answer.json().catch(() => ({}));
    if (connection !== this.connection) return;
    const wait = 1000 * (Number(answer.headers.get("Retry-After")) || 0);
    // A proxy with a log-in of its own answers with a redirect.
    const shut = answer.type === "opaqueredirect" || answer.status === 401 || answer.status === 403;
    if (!shut) { this.lost(connection, wait); return; }
    this.drop();
    this.become(answer.status === 403 ? "forbidden" : "refused", problem.detail || "");
    this.wait = MOST_WAIT_MS; // somebody may log in in another tab
    this.again(0);
  }

  async read(connection, body) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done || connection !== this.connection) return;
      connection.heard = Date.now();
      const events = (text + value).split("\n\n");
      text = events.pop();
      for (const one of events) this.take(connection, parsed(one));
    }
  }

  take(connection, event) {
    const { name, data } = event;
    if (!name) return;
    if (name === "of") connection.run = data.run;
    else if (name === "monitor") this.opened(data);
    else if (name === "now") this.tellAll({ kind: "now", ...data });
    else if (name === "gone" || name === "reset") this.place(name, data);
    else if (connection.run === null) this.toTable(event);
    else this.gather(connection, event);
  }

  opened(data) {
    this.wait = FIRST_WAIT_MS;
    this.become("on");
    this.tellAll({ kind: "monitor", ...data });
  }

  place(name, data) {
    for (const client of this.clients) {
      if (!client.runs.has(data.run)) continue;
      if (name === "gone") client.runs.delete(data.run);
      else client.runs.set(data.run, data.cursor);
      client.tell({ kind: name, ...data });
    }
  }

  toTable({ name, data }) {
    for (const client of this.clients) if (client.table) client.tell({ kind: "events", events: [{ name, data }] });
  }

  // The events of one change come together; the last one has its cursor. A summary may stand alone.
  gather(connection, event) {
    connection.group.push(event);
    if (event.cursor === null && event.name !== "run") return;
    const { group, run } = connection;
    connection.group = [];
    const upto = event.cursor;
    for (const client of this.clients) {
      const at = client.runs.get(run);
      if (at === undefined) continue;
      const known = upto !== null && upto <= at;
      const events = known ? group.filter(({ name }) => name === "run" && upto === at) : group;
      if (!known && upto !== null) client.runs.set(run, upto);
      if (events.length) client.tell({ kind: "events", events, run, cursor: client.runs.get(run) });
    }
  }
}

function parsed(block) {
  const found = { name: "", data: null, cursor: null };
  for (const line of block.split("\n")) {
    const at = line.indexOf(": ");
    const [field, value] = [line.slice(0, at), line.slice(at + 2)];
    if (field === "event") found.name = value;
    if (field === "data") found.data = JSON.parse(value);
    if (field === "id") found.cursor = Number(value);
  }
  return found;
}
