// Reads the roles form into the body of PATCH /runs/{id}.
const ROLES = ["format", "accuracy", "length"];

// A role is sent if it differs from the rules' result; earlier choices for other roles stay.
export function toldRoles(form) {
  const told = JSON.parse(form.dataset.told);
  const rows = [...form.querySelectorAll("select[data-key]")];
  const other = form.elements.other.value.trim();
  for (const role of ROLES) {
    const keys = rows.filter((row) => row.value === role).map((row) => row.dataset.key);
    const ruled = rows.filter((row) => row.dataset.byRule === role).map((row) => row.dataset.key);
    if (other && form.elements.other_role.value === role && !keys.includes(other)) keys.push(other);
    if (keys.join("\n") === ruled.join("\n")) delete told[role];
    else told[role] = keys;
  }
  return told;
}
