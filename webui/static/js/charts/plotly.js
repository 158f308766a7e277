// Runs plotly.js, which the page's beginning has had fetched, once the picture of the charts in the page has been seen:
// on a first visit it takes the page's only thread for a second.
export async function plotly() {
  if (globalThis.Plotly) return;
  await seen();
  const script = document.createElement("script");
  script.src = document.getElementById("plotly-script").href;
  await new Promise((done) => {
    for (const end of ["load", "error"]) script.addEventListener(end, done);
    document.head.append(script);
  });
  if (!globalThis.Plotly) throw new Error("plotly.js did not come");
}

const LONGEST_MS = 500; // a tab in the background has no frames

async function seen() {
  if (!document.querySelector(".still") || document.hidden) return;
  await new Promise((done) => {
    requestAnimationFrame(() => setTimeout(done)); // behind the frame, not before it
    setTimeout(done, LONGEST_MS);
  });
}
