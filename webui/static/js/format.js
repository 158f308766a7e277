// Formats numbers and times as text, by the rules of webui/format.py.
export const UNKNOWN = "–";
const MINUS = "−";

export const isNumber = (v) => typeof v === "number" && Number.isFinite(v);
const signed = (text) => text.replace(/-/g, MINUS);

export const whole = (v) => (isNumber(v) ? signed(Math.round(v).toLocaleString("en-US")) : UNKNOWN);

export function number(v, digits = 3) {
  if (!isNumber(v)) return UNKNOWN;
  const size = Math.abs(v);
  if (size && !(size >= 1e-3 && size < 1e6)) return v.toExponential(digits - 1).replace(/^-/, MINUS);
  const decimals = size ? Math.max(0, digits - 1 - Math.floor(Math.log10(size))) : 0;
  const places = Math.min(decimals, digits);
  return signed(v.toLocaleString("en-US", { minimumFractionDigits: places, maximumFractionDigits: places }));
}

export const percent = (v, places = 1) => (isNumber(v) ? signed((100 * v).toFixed(places)) + " %" : UNKNOWN);
export const interval = (low, high) =>
  isNumber(low) && isNumber(high) ? `${(100 * low).toFixed(1)}–${(100 * high).toFixed(1)}` : UNKNOWN;
export const usd = (v) =>
  isNumber(v) ? "$" + v.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 }) : UNKNOWN;

export function duration(seconds) {
  if (!isNumber(seconds)) return UNKNOWN;
  const total = Math.max(0, Math.round(seconds));
  const pad = (n) => String(n).padStart(2, "0");
  if (total < 60) return `${total} s`;
  if (total < 3600) return `${Math.floor(total / 60)} min ${pad(total % 60)} s`;
  if (total < 86400) return `${Math.floor(total / 3600)} h ${pad(Math.floor((total % 3600) / 60))} min`;
  return `${Math.floor(total / 86400)} d ${Math.floor((total % 86400) / 3600)} h`;
}

// By the clock that wrote the time: the monitor's, never this machine's.
export function ago(iso, now) {
  const seconds = (now - Date.parse(iso)) / 1000;
  if (now === null || !Number.isFinite(seconds)) return UNKNOWN;
  if (seconds < 5) return "just now";
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} d ago`;
}
