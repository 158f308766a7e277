// The controls above the charts: they show the view and set it.
export function controls(view, axes, weight) {
  const bar = document.getElementById("chartbar");
  const input = (name) => bar.querySelector(`[data-view="${name}"]`);
  for (const option of input("x").options) option.disabled = !axes.has(option.value);

  function show() {
    const smooth = view.smooth ?? 1 - weight;
    input("x").value = axes.has(view.x) ? view.x : "step";
    input("smooth").value = smooth;
    bar.querySelector('[data-out="smooth"]').textContent = smooth.toFixed(2);
    input("raw").checked = view.raw;
    input("log").checked = view.log;
    input("from").value = view.zoom ? Math.round(view.zoom[0]) : "";
    input("to").value = view.zoom ? Math.round(view.zoom[1]) : "";
    input("reset").disabled = !view.zoom;
  }

  const set = {
    x: (el) => view.set({ x: el.value }),
    smooth: (el) => view.set({ smooth: Number(el.value) }),
    raw: (el) => view.set({ raw: el.checked }),
    log: (el) => view.set({ log: el.checked }),
    from: zoom,
    to: zoom,
  };

  function zoom() {
    const [from, to] = [input("from").value, input("to").value];
    if (from === "" && to === "") view.set({ zoom: null });
    else if (from !== "" && to !== "" && Number(from) < Number(to)) view.set({ zoom: [Number(from), Number(to)] });
  }

  bar.addEventListener("change", ({ target }) => set[target.dataset.view]?.(target));
  input("smooth").addEventListener("input", ({ target }) => set.smooth(target));
  input("reset").addEventListener("click", () => view.set({ zoom: null }));
  view.on(show);
  show();
}
