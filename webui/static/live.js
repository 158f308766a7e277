// One EventSource with a visible state. It starts at the cursor of the rendered page; a browser
// reconnects by itself with Last-Event-ID, and where it gave up (an HTTP error) we start again there.
import { at } from "./address.js";

const EVENTS = ["point", "verdict", "rewind", "run", "changed"];
const GRACE_MS = 1500; // a blip shorter than this is not worth a banner
const MAX_WAIT_MS = 15000;

export function follow(url, cursor, handlers) {
  let last = cursor;
  let wait = 500;
  let source = null;
  let bannerTimer = null;

  const lost = () => {
    show("lost", "reconnecting");
    bannerTimer ??= setTimeout(() => banner("Connection to the monitor lost. Trying again; nothing is missed."), GRACE_MS);
  };
  const found = () => {
    clearTimeout(bannerTimer);
    bannerTimer = null;
    wait = 500;
    banner("");
    show("on", "live");
  };
  const open = () => {
    source = new EventSource(`${at(url)}?after=${encodeURIComponent(last)}`);
    source.onopen = () => {
      found();
      handlers.open?.();
    };
    source.onerror = () => {
      lost();
      if (source.readyState !== EventSource.CLOSED) return;
      setTimeout(open, wait * (0.7 + 0.6 * Math.random()));
      wait = Math.min(2 * wait, MAX_WAIT_MS);
    };
    for (const name of EVENTS) {
      source.addEventListener(name, (event) => {
        if (event.lastEventId) last = event.lastEventId;
        handlers[name]?.(JSON.parse(event.data));
      });
    }
  };
  show("lost", "connecting");
  open();
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (event) => { if (event.persisted) open(); });
}

function show(state, text) {
  const live = document.getElementById("live");
  live.dataset.state = state;
  live.lastElementChild.textContent = text;
}

function banner(text) {
  const el = document.getElementById("banner");
  el.textContent = text;
  el.hidden = !text;
}
