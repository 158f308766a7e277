// Classic script in the head: sets the stored theme before the first paint, then the toggle.
(() => {
  const root = document.documentElement;
  const stored = () => { try { return localStorage.getItem("cusp-theme"); } catch { return null; } };
  const system = matchMedia("(prefers-color-scheme: dark)");
  const announce = () => dispatchEvent(new CustomEvent("cusp:theme"));
  const current = () => root.dataset.theme || (system.matches ? "dark" : "light");
  if (stored() === "dark" || stored() === "light") root.dataset.theme = stored();
  system.addEventListener("change", announce);
  addEventListener("click", (event) => {
    if (!event.target.closest?.("[data-theme-toggle]")) return;
    root.dataset.theme = current() === "dark" ? "light" : "dark";
    try { localStorage.setItem("cusp-theme", root.dataset.theme); } catch { /* private mode */ }
    announce();
  });
})();
