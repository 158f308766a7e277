// The one line on top of the page: what is wrong with it now, and the way out. The gravest is shown.
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
