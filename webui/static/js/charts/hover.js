// One read-out across charts: where the pointer is in one, the others show their values at the same x.
const linked = new WeakSet();

export function hoverTogether(charts) {
  let leading = null; // the chart under the pointer; what it makes the others do is no pointer
  const link = () => {
    for (const chart of charts()) {
      if (linked.has(chart) || !chart.div.on) continue;
      linked.add(chart);
      chart.div.on("plotly_hover", ({ xvals, points }) => {
        const x = xvals?.[0] ?? points?.[0]?.x;
        if (leading || x === undefined) return;
        leading = chart;
        for (const other of visible(chart)) Plotly.Fx.hover(other.div, { xval: x });
        leading = null;
      });
      chart.div.on("plotly_unhover", () => {
        if (leading) return;
        leading = chart;
        for (const other of visible(chart)) Plotly.Fx.unhover(other.div);
        leading = null;
      });
    }
  };
  const visible = (chart) => charts().filter((other) => {
    if (other === chart || !other.div.data) return false;
    const { top, bottom } = other.div.getBoundingClientRect();
    return bottom > 0 && top < innerHeight;
  });
  document.addEventListener("pointerover", link);
}
