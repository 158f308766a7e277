// Keeps the keyboard's place: a part of the page that is renewed, and a dialog that closes, lead back to where it was.
const REACHED = "a[href], button, input, select, textarea, summary, [tabindex]";

const key = (el) =>
  [el.tagName, el.id, el.dataset.action, el.dataset.checkpoint, el.dataset.path, el.getAttribute("aria-label") || el.textContent.trim()].join("|");

// The same thing in a renewed part, or where that cannot have the focus any more its neighbour of the same checkpoint.
function twin(el, root) {
  const able = [...root.querySelectorAll(REACHED)].filter((one) => !one.matches(":disabled"));
  const { checkpoint } = el.dataset;
  return able.find((one) => key(one) === key(el)) || able.find((one) => checkpoint && one.dataset.checkpoint === checkpoint);
}

function focusOn(el) {
  if (!el.matches(REACHED)) el.tabIndex = -1;
  el.focus({ preventScroll: true });
}

// Replaces a part; the focus goes to the same thing in the new one, or to the part itself.
export function replace(old, fresh) {
  const had = old.contains(document.activeElement) ? document.activeElement : null;
  old.replaceWith(fresh);
  if (had && !fresh.hidden) focusOn(twin(had, fresh) || fresh);
}

// Changes what is within a part; the focus stays as it does above.
export function keeping(part, change) {
  const had = part.contains(document.activeElement) ? document.activeElement : null;
  change();
  if (had && !had.isConnected) focusOn(twin(had, part) || part);
}

// Opens a dialog. The browser gives the focus back to what opened it, but not where that was renewed meanwhile.
export function openDialog(dialog) {
  const opener = document.activeElement;
  const part = opener.closest("section[id], header[id], [id^=section-]")?.id;
  dialog.addEventListener("close", () => {
    if (opener.isConnected && !opener.matches(":disabled")) return;
    const now = document.getElementById(part) || document.getElementById("main");
    focusOn(twin(opener, now) || now);
  }, { once: true });
  dialog.showModal();
  return dialog;
}
