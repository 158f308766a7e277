// The time by the monitor's clock: a laptop's may be wrong by hours. Unknown until the monitor has told it.
let ahead = null;

export function learn(now) {
  if (Number.isFinite(now)) ahead = now - Date.now();
}

// Milliseconds since 1970, null where it is not known.
export const now = () => (ahead === null ? null : Date.now() + ahead);
