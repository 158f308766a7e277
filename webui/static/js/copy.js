// Buttons that copy a text to the clipboard: <button data-copy="...">.
import { say } from "./api.js";

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const done = await copied(button.dataset.copy);
  say(done ? "Copied." : `The browser does not let this page copy; the text is ${button.dataset.copy}`, !done);
});

// The clipboard exists only on https and localhost; a monitor on a LAN has neither.
async function copied(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text).then(() => true, () => false);
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}
