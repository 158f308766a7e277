// Addresses as a browser has to ask for them: a proxy may put a prefix before all of them.
const prefix = document.documentElement.dataset.prefix || "";

export const at = (path) => prefix + path;

// The monitor's own address, for what a person copies.
export const home = () => location.origin + prefix;

// Where to log in so that this very page is shown afterwards, its part after # included.
export const loginAddress = () => {
  const here = location.pathname.slice(prefix.length) || "/";
  return `${at("/login")}?next=${encodeURIComponent(here + location.search)}${location.hash}`;
};
