"""Tables in Markdown."""

from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; a cell is one line, and a `|` in it ends no cell.

    >>> print(table(("a", "b"), [("1 | 2", "3")]))
    | a | b |
    | --- | --- |
    | 1 \\| 2 | 3 |
    """
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell(each) for each in line)} |" for line in lines)


def cell(text: str) -> str:
    """Return a text as one line that ends no cell."""
    return " ".join(text.split()).replace("|", "\\|")
