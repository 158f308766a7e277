"""The table of docs/reference/roles.md: public logs under their owners' names, and the roles found in them.

python -m tests.cusp.roles.role_table     # writes it anew, where the logs are
"""

import csv
import json
import re
from collections.abc import Iterable
from pathlib import Path

from cusp.roles.assign import assign

ROOT = Path(__file__).parents[3]
DOCUMENT = ROOT / "docs" / "reference" / "roles.md"
DATA = ROOT.parent / "shared" / "data"
HEAD = "| logs | format | accuracy | length | reward functions in no role |"
ROLES = ("format", "accuracy", "length")
# Columns that the collection made of the owners' own; they stand beside these.
MADE = {"format_reward", "accuracy_reward"}


def written() -> list[list[str]]:
    """Return the cells of the rows that stand in the document."""
    after = DOCUMENT.read_text().split(HEAD)[1].splitlines()[2:]
    rows = [line for line in after if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def keys_in(cell: str) -> list[str]:
    """Return the keys that stand in a cell."""
    return re.findall(r"`([^`]+)`", cell)


def row_of(names: Iterable[str]) -> tuple[str, ...]:
    """Return the cells that the rules give for what a log names."""
    found = assign(names)
    cells = [[m.key for m in found.members.get(role, ())] for role in ROLES]
    return tuple(
        ", ".join(f"`{key}`" for key in keys) or "–" for keys in [*cells, found.unrecognised]
    )


def made() -> list[list[str]]:
    """Return the cells of the rows as the logs give them; logs of the same names are one row."""
    rows: dict[tuple[str, ...], list[str]] = {}
    for name, names in sorted(logs()):
        rows.setdefault(row_of(names), []).append(name)
    return sorted([", ".join(files), *cells] for cells, files in rows.items())


def logs() -> Iterable[tuple[str, set[str]]]:
    """Yield the name of each log and the keys in it."""
    for path in (DATA / "raw_logs").iterdir():
        if path.name != "README.md":
            yield path.name, _raw_keys(path)
    for path in (DATA / "grpo_logs" / "runs").glob("*.csv"):
        with path.open() as file:
            names = set(next(csv.reader(file)))
        own = {n for n in names - MADE if n.startswith("rewards/") or n.startswith("format_")}
        yield path.stem, names - MADE if own else names


def _raw_keys(path: Path) -> set[str]:
    text = path.read_text()
    if path.suffix == ".ipynb":
        return set(re.findall(r"<th>([^<]*)</th>", text))
    if path.suffix == ".out":
        return set(re.findall(r"'([\w/]+)':", text))
    if path.suffix == ".jsonl":
        rows = [json.loads(line) for line in text.splitlines() if line.strip()]
    else:
        whole = json.loads(text)
        rows = whole["log_history"] if isinstance(whole, dict) and "log_history" in whole else whole
        rows = rows if isinstance(rows, list) else [rows]
    return {key for row in rows for key, value in row.items() if isinstance(value, int | float)}


def main() -> None:
    """Write the table anew."""
    before = DOCUMENT.read_text().split(HEAD)[0]
    lines = [f"| {' | '.join(row)} |" for row in made()]
    DOCUMENT.write_text("\n".join([before + HEAD, "|---|---|---|---|---|", *lines, ""]))


if __name__ == "__main__":
    main()
