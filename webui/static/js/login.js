// The log-in form. The part of an address after # stays in the browser, so it is put into the form here.
const form = document.getElementById("login");
const next = form.elements.next;
if (location.hash && !next.value.includes("#")) next.value += location.hash;

// A link from a mail or a chat comes without the cookie (SameSite=Strict). Whoever is logged in is led on:
// asked from this page, which is our own, the browser sends it.
const wanted = `${location.pathname}?next=${encodeURIComponent(next.value.replace(/#.*/, ""))}`;
fetch(wanted, { redirect: "manual", cache: "no-store" })
  .then((answer) => { if (answer.type === "opaqueredirect") location.replace(wanted + location.hash); })
  .catch(() => {}); // the form is there all the same
