// The interactive API page: Swagger UI of the installed package, on this monitor's own schema.
const place = document.getElementById("swagger");
document.getElementById("waiting").remove();
SwaggerUIBundle({
  url: place.dataset.url,
  domNode: place,
  deepLinking: true,
  docExpansion: "list",
  filter: true,
  tryItOutEnabled: true,
  validatorUrl: null, // nothing goes to another host
  defaultModelsExpandDepth: 0,
});
