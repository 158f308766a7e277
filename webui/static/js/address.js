// URLs with the path prefix of a proxy.
const prefix = document.documentElement.dataset.prefix || "";

export const at = (path) => prefix + path;

// The monitor's absolute URL, for commands that a person copies.
export const home = () => location.origin + prefix;

// Where to log in so that this very page is shown afterwards, its part after # included.
export const loginAddress = () => {
  const here = location.pathname.slice(prefix.length) || "/";
  return `${at("/login")}?next=${encodeURIComponent(here + location.search)}${location.hash}`;
};
