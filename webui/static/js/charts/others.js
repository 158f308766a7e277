// The small charts of all other metrics, in groups by the part of the name before "/", with a search.
import { Chart } from "./chart.js";

export class Others {
  constructor(shared, specs, blank) {
    Object.assign(this, { shared, blank, box: document.getElementById("others"), charts: new Map(), seen: new Set() });
    this.search = document.getElementById("others-search");
    // They are drawn when first seen, and live from then on.
    this.watch = new IntersectionObserver((entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        this.watch.unobserve(target);
        this.seen.add(target.dataset.metric);
        this.charts.get(target.dataset.metric).begin();
      }
    });
    const known = new Map(specs.map((spec) => [spec.name, spec]));
    this.box.querySelectorAll(".small-chart").forEach((div) => this.put(div, known.get(div.dataset.metric)));
    const { view } = shared;
    this.search.value = view.metrics || "";
    if (view.metrics !== null) this.box.open = true;
    this.search.addEventListener("input", () => { view.set({ metrics: this.search.value }); this.filter(); });
    this.box.addEventListener("toggle", () => view.set({ metrics: this.box.open ? this.search.value : null }));
    this.filter();
  }

  all() {
    return [...this.charts.values()];
  }

  drawn() {
    return [...this.seen].map((name) => this.charts.get(name)).filter(({ div }) => div.data && !div.hidden);
  }

  put(div, spec) {
    this.charts.set(div.dataset.metric, new Chart(div, spec, this.shared));
    this.watch.observe(div);
  }

  addValue(name, step, value) {
    if (!this.charts.has(name)) this.newcomer(name);
    this.charts.get(name).addValue(name, step, value);
  }

  // A metric that is first logged while the page is open gets its small chart, too.
  newcomer(name) {
    const spec = JSON.parse(JSON.stringify(this.blank));
    const label = Object.hasOwn(this.blank.words, name) ? this.blank.words[name] : name; // a metric may be called `constructor`
    // Plotly reads tags in titles, as format.py:charted says.
    spec.layout.title.text = label.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
    for (const trace of spec.data) trace.meta.metric = name;
    const div = document.createElement("div");
    div.className = "small-chart";
    div.setAttribute("role", "img");
    div.setAttribute("aria-label", `Chart of ${label}`);
    div.dataset.metric = name;
    this.group(name.includes("/") ? name.split("/")[0] : "").append(div);
    this.box.hidden = false;
    this.put(div, spec);
    document.getElementById("others-count").textContent = this.charts.size;
    this.filter();
  }

  group(prefix) {
    const groups = [...this.box.querySelectorAll(".group")];
    const known = groups.find(({ dataset }) => dataset.group === prefix);
    if (known) return known.querySelector(".small-charts");
    const made = document.createElement("section");
    made.className = "group";
    made.dataset.group = prefix;
    const [head, charts] = [document.createElement("h3"), document.createElement("div")];
    head.textContent = prefix || "without a group";
    charts.className = "small-charts";
    made.append(head, charts);
    document.getElementById("small-charts").append(made);
    return charts;
  }

  filter() {
    const wanted = this.search.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    for (const { div } of this.all()) {
      const text = `${div.dataset.metric} ${div.getAttribute("aria-label")}`.toLowerCase();
      div.hidden = !wanted.every((word) => text.includes(word));
    }
    this.box.querySelectorAll(".group").forEach((el) => { el.hidden = !el.querySelector(".small-chart:not([hidden])"); });
  }
}
