// The comparison: draws the figures of the page, one zoom for all metrics; choices are applied by the server.
import { themed } from "./charts/colors.js";
import { picture } from "./charts/export.js";
import { saveCsv } from "./csv.js";

const specs = JSON.parse(document.getElementById("figures").textContent);
const charts = [...document.querySelectorAll(".compare-chart")];
let following = false;

async function draw() {
  try {
    await Promise.all(charts.map((div, place) => {
      const { data, layout, config } = themed(specs[place]);
      return Plotly.react(div, data, { ...layout, autosize: true }, config);
    }));
    return true;
  } catch (error) {
    fault(error);
    return false;
  }
}

function fault(error) {
  const line = document.getElementById("chart-fault");
  line.textContent = `The charts cannot be drawn (${error?.message || error}). The tables and the CSV file of this page are whole.`;
  line.hidden = false;
}

// The metrics share the x axis; the last chart may be cost, which does not.
function zoomTogether() {
  const metrics = charts.filter((_, place) => specs[place].name !== "cost");
  for (const div of metrics) {
    div.on("plotly_relayout", async (change) => {
      const range = "xaxis.autorange" in change ? null : [change["xaxis.range[0]"], change["xaxis.range[1]"]];
      if (following || (range && range[0] === undefined)) return;
      following = true;
      const to = range ? { "xaxis.range": range } : { "xaxis.autorange": true };
      await Promise.all(metrics.filter((other) => other !== div).map((other) => Plotly.relayout(other, to)));
      following = false;
    });
  }
}

if (charts.length) draw().then((drawn) => drawn && zoomTogether());
addEventListener("cusp:theme", draw);
const form = document.getElementById("choose");
form?.addEventListener("change", () => form.requestSubmit());
// An empty field is no metric: it would stand in the address.
form?.addEventListener("formdata", ({ formData }) => {
  const metrics = formData.getAll("metric").filter((name) => name.trim());
  formData.delete("metric");
  for (const name of metrics) formData.append("metric", name);
  if (!formData.get("group")) formData.delete("group");
  if (!Number(formData.get("smooth"))) formData.delete("smooth");
});

// Every line as it is drawn: what the axis aligns, thinned, and of groups the mean, which has no run_id and is that of
// averages where lines are smoothed; a run's own line is never.
// The figures have names as Plotly reads them, with entities.
const plain = (name) => new DOMParser().parseFromString(name, "text/html").documentElement.textContent;

function table() {
  const rows = [["metric", "run", "run_id", "x", "value", "smoothing"]];
  const smooth = Number(new URLSearchParams(location.search).get("smooth"));
  for (const { name: metric, data } of specs.filter((one) => one.name !== "cost")) {
    for (const { name, meta, x, y, mode, uid } of data) {
      if (mode === "lines" && name && !uid) x.forEach((at, i) => rows.push([metric, plain(name), meta, at, y[i], meta ? 0 : smooth]));
    }
  }
  return rows;
}

document.querySelector("[data-save]")?.addEventListener("click", async (event) => {
  const { format } = event.target.dataset;
  if (format === "csv") saveCsv("cusp-comparison.csv", table());
  else if (format) {
    try {
      for (const [place, div] of charts.entries()) await picture(div, `cusp-comparison-${specs[place].name.replaceAll("/", "-")}`, format);
    } catch (error) {
      fault(error);
    }
  }
});
