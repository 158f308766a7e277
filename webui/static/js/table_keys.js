// Keys of the runs table: j and k walk, Enter opens, x selects, c compares, / searches, ? helps.
export function keys(picked) {
  const rows = () => [...document.querySelectorAll("#runs tr[data-run]")];
  const current = () => document.activeElement?.closest("#runs tr[data-run]");

  function walk(by) {
    const all = rows();
    const at = all.indexOf(current());
    const next = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + by))];
    next?.querySelector("th a").focus();
    next?.scrollIntoView({ block: "nearest" });
  }

  const act = {
    j: () => walk(1),
    k: () => walk(-1),
    x: () => { if (current()) picked.toggle(current()); },
    c: () => picked.compare(),
    "/": () => document.getElementById("search").focus(),
    "?": () => document.getElementById("help-dialog").showModal(),
    Escape: () => picked.clear(),
  };

  addEventListener("keydown", (event) => {
    const busy = document.querySelector("dialog[open]") || event.target.closest?.("input:not([type=checkbox]), textarea, select");
    if (busy || event.ctrlKey || event.metaKey || event.altKey || !(event.key in act)) return;
    event.preventDefault();
    act[event.key]();
  });
}
