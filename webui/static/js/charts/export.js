// The charts as a picture: PNG or SVG by plotly.js itself, in the colours of the page.
import { themed } from "./colors.js";

const SCALE = { png: 2, svg: 1 };

export async function picture(div, name, format) {
  const { width, height } = div.getBoundingClientRect();
  const shown = { data: div.data, layout: { ...div.layout, paper_bgcolor: themed("@surface") } };
  await Plotly.downloadImage(shown, { format, filename: name, width, height, scale: SCALE[format] });
}
