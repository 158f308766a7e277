// The monitor's time, as a laptop's clock may be wrong by hours. Unknown until the first message.
let ahead = null;

export function learn(now) {
  if (Number.isFinite(now)) ahead = now - Date.now();
}

// Returns milliseconds since 1970, or null while unknown.
export const now = () => (ahead === null ? null : Date.now() + ahead);
