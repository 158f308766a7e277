// Waits for plotly.js, a script of its own that runs as soon as it has come.
export async function plotly() {
  if (globalThis.Plotly) return;
  const script = document.getElementById("plotly-script");
  await new Promise((done) => {
    for (const end of ["load", "error"]) script.addEventListener(end, done);
    if (document.readyState === "complete") done(); // it failed before anybody listened
  });
  if (!globalThis.Plotly) throw new Error("plotly.js did not come");
}
