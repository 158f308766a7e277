// Times in the reader's zone, which is named, UTC on hover. What the monitor wrote, in pages and exports, is UTC.
const shown = new Intl.DateTimeFormat("en-GB", {
  year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit",
  hourCycle: "h23", timeZoneName: "short",
});
const pad = (text) => text.padStart(2, "0");

function parts(iso) {
  const found = Object.fromEntries(shown.formatToParts(new Date(iso)).map(({ type, value }) => [type, value]));
  return {
    day: `${found.year}-${found.month}-${found.day}`,
    time: [found.hour, found.minute, found.second].map(pad).join(":"),
    zone: found.timeZoneName,
  };
}

// As `when` of webui/format.py, in the reader's zone.
export function local(iso) {
  const { day, time, zone } = parts(iso);
  return `${day} ${time} ${zone}`;
}

function put(el) {
  const iso = el.dateTime;
  if (!iso || Number.isNaN(Date.parse(iso)) || el.dataset.zoned === iso) return;
  const before = el.dataset.zoned;
  el.dataset.zoned = iso;
  const utc = `${iso.slice(0, 19).replace("T", " ")} UTC`;
  if (el.matches("[data-relative], [data-words]")) {
    el.title = `${local(iso)}, ${utc}`;
    if (!before && el.textContent === utc) el.textContent = local(iso); // until it is told relatively
    return;
  }
  el.title = utc;
  const here = parts(iso);
  const after = el.dataset.after; // of the same day: the time alone
  el.textContent = after && parts(after).day === here.day ? here.time : local(iso);
}

const all = (root) => root.querySelectorAll?.("time[datetime]").forEach(put);

// Pages renew parts of themselves; times in these follow.
new MutationObserver((changes) => {
  for (const { target, addedNodes, type } of changes) {
    if (type === "attributes") put(target);
    for (const node of addedNodes) {
      if (node.nodeName === "TIME") put(node);
      else if (node instanceof HTMLElement) all(node); // not what charts draw
    }
  }
}).observe(document.documentElement, { childList: true, subtree: true, attributes: true, attributeFilter: ["datetime"] });
all(document);
