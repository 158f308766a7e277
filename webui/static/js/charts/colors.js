// Resolves the colour tokens of figures ("@format_reward") to the theme's colours.
// A probe element lets the browser resolve light-dark() for us.
const probe = document.createElement("i");
probe.hidden = true;
document.body.append(probe);

export function themed(value) {
  const known = new Map();
  return replace(value, (name) => {
    if (!known.has(name)) known.set(name, resolve(name));
    return known.get(name);
  });
}

function resolve(name) {
  const variable = "--" + name.replaceAll("_", "-");
  if (name === "font") return getComputedStyle(document.body).fontFamily;
  probe.style.color = `var(${variable})`;
  return getComputedStyle(probe).color;
}

function replace(value, color) {
  if (typeof value === "string") return value.startsWith("@") ? color(value.slice(1)) : value;
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return typeof value[0] === "number" ? value : value.map((v) => replace(v, color));
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, replace(v, color)]));
}
