// The banner on top of the page: the most serious current problem, and the way out.
const ORDER = ["database", "gone", "refused", "forbidden", "lost", "resting"];
const told = new Map(); // kind -> {text, link: [words, address] or null}

export function banner(kind, text, link = null) {
  if (text) told.set(kind, { text, link });
  else told.delete(kind);
  const el = document.getElementById("banner");
  const shown = told.get(ORDER.find((one) => told.has(one)));
  el.hidden = !shown;
  el.replaceChildren(...(shown ? parts(shown) : []));
}

function parts({ text, link }) {
  if (!link) return [text];
  const [words, address] = link;
  return [text, " ", Object.assign(document.createElement("a"), { textContent: words, href: address })];
}
