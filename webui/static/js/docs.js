// The interactive API page: Swagger UI of the installed package, on this monitor's own schema.
const place = document.getElementById("swagger");
document.getElementById("waiting").remove();

// Swagger UI puts a link into the button of each operation; a keyboard and a screen reader can't tell them apart.
// The button alone opens it, and writes the address as the link did.
const plainPaths = ({ React }) => ({
  wrapComponents: { DeepLink: () => ({ text }) => React.createElement("span", null, text) },
});

// What Swagger UI leaves without a name, or out of a keyboard's reach.
function name(root) {
  for (const field of root.querySelectorAll(":is(select, input, textarea):not([aria-label])")) {
    const row = field.closest("[data-param-name]");
    const label = row?.dataset.paramName || (field.matches(".operation-filter-input") ? "Filter by tag" : null);
    if (label) field.setAttribute("aria-label", label);
    else if (field.matches("select")) field.setAttribute("aria-label", "media type");
    else if (field.matches(".body-param__text")) field.setAttribute("aria-label", "request body");
  }
  for (const box of root.querySelectorAll("pre:not([tabindex])")) box.tabIndex = 0;
}
new MutationObserver(() => name(place)).observe(place, { childList: true, subtree: true });

SwaggerUIBundle({
  url: place.dataset.url,
  domNode: place,
  deepLinking: true,
  docExpansion: "list",
  filter: true,
  tryItOutEnabled: true,
  validatorUrl: null, // nothing goes to another host
  defaultModelsExpandDepth: 0,
  plugins: [plainPaths],
});
