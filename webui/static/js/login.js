// The log-in form. The fragment of a URL is not sent to the server, so it is put into the form here.
const form = document.getElementById("login");
const next = form.elements.next;
if (location.hash && !next.value.includes("#")) next.value += location.hash;

// A link from a mail or a chat comes without the cookie (SameSite=Strict). A logged-in user is redirected:
// a request from this page, which is our own, has the cookie.
const wanted = `${location.pathname}?next=${encodeURIComponent(next.value.replace(/#.*/, ""))}`;
fetch(wanted, { redirect: "manual", cache: "no-store" })
  .then((answer) => { if (answer.type === "opaqueredirect") location.replace(wanted + location.hash); })
  .catch(() => {}); // the form is there all the same
