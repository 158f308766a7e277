// Subscriptions of this tab, and the visible state: live, lost, refused, of another database.
import { loginAddress } from "../address.js";
import { banner } from "./banner.js";
import { join } from "./channel.js";
import { learn } from "./clock.js";

const GRACE_MS = 1500; // a blip shorter than this is not worth a banner
const LEAVE_MS = 10_000; // between saying that the session has ended and asking for the token
const STATES = {
  on: ["on", "live"], connecting: ["lost", "connecting"], lost: ["lost", "reconnecting"], resting: ["off", "resting"],
  refused: ["lost", "logged out"], forbidden: ["lost", "not allowed"],
};

// `wants` is {runs: [[run, cursor]], table}. Of the handlers `events` gets what happened, in order; `opened`
// is called when the stream has begun, `anew` when what is shown has to be read again, `gone` when the run is.
export function follow(wants, handlers) {
  const known = { database: null, process: null };
  let lostTimer = null;

  const saidLost = () => {
    lostTimer ??= setTimeout(() => banner("lost", "Connection to the monitor lost. Trying again; nothing is missed."), GRACE_MS);
  };
  const become = ({ state, detail }) => {
    show(...(STATES[state] || STATES.lost));
    if (state === "lost" || state === "connecting") saidLost();
    else {
      clearTimeout(lostTimer);
      lostTimer = null;
      banner("lost", "");
    }
    banner("resting", state === "resting" ? "Other tabs of this browser are live. This one goes on when you use it." : "");
    banner("forbidden", state === "forbidden" ? `The monitor does not let this page follow: ${detail || "not allowed"}.` : "");
    if (state === "refused") refused();
    else if (state === "on") renewed();
  };
  const opened = (message) => {
    const other = (what) => known[what] !== null && known[what] !== message[what];
    const [database, process] = [other("database"), other("process")];
    Object.assign(known, { database: message.database, process: message.process });
    learn(message.now);
    if (database) handlers.database?.();
    if (process && !database) handlers.anew();
    handlers.opened?.();
  };
  const tell = {
    state: become,
    monitor: opened,
    now: (message) => learn(message.now),
    events: ({ events }) => events.forEach(({ name, data }) => handlers.events(name, data)),
    reset: () => handlers.anew(),
    gone: ({ detail }) => handlers.gone?.(detail),
  };
  known.database = document.getElementById("live").dataset.database || null;
  show("lost", "connecting");
  join({ runs: new Map(wants.runs), table: wants.table }, (message) => tell[message.kind]?.(message));
}

let leaving = null;

// The session has ended: say so, and ask for the token unless somebody is in the middle of something.
export function refused() {
  banner("refused", "You are logged out: the session has ended, or its token was revoked.", ["Log in again", loginAddress()]);
  leaving ??= setInterval(() => {
    const busy = document.querySelector("dialog[open]") || document.visibilityState !== "visible";
    if (!busy) location.assign(loginAddress());
  }, LEAVE_MS);
}

function renewed() {
  banner("refused", "");
  clearInterval(leaving);
  leaving = null;
}

export function show(state, text) {
  const live = document.getElementById("live");
  live.dataset.state = state;
  live.lastElementChild.textContent = text;
}
