"""Output of the commands: tables for people, one JSON document with `--json`."""

import json
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")]


def console() -> Console:
    """Return a new Console on the current standard output, so that captured output works."""
    if sys.stdout.isatty():
        return Console(highlight=False)
    return Console(highlight=False, soft_wrap=True, width=160)  # a file or a pipe has no width


def print_json(value: Any) -> None:
    """Print a JSON document on standard output."""
    typer.echo(json.dumps(value, indent=2))


def print_table(
    title: str,
    columns: list[str],
    rows: Sequence[Sequence[str | Text]],
    *,
    give_up: Sequence[str] = (),
) -> None:
    """Print a table no wider than the terminal; text is printed literally, without markup.

    Columns in `give_up` are dropped in this order until the others fit; then the longest one is wrapped.
    """
    out = console()
    cells = {name: [_text(row[at]) for row in rows] for at, name in enumerate(columns)}
    widths = {name: max([len(name), *(c.cell_len for c in cells[name])]) for name in columns}
    lacks = list(give_up)
    shown = [name for name in columns if name not in lacks]
    while lacks and sum(widths[n] + 2 for n in [*shown, lacks[-1]]) - 2 <= out.width:
        shown.append(lacks.pop())
    shown.sort(key=columns.index)
    longest = max(shown, key=lambda name: widths[name])
    table = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for name in shown:
        table.add_column(name, no_wrap=name != longest, overflow="fold")
    for at in range(len(rows)):
        table.add_row(*(cells[name][at] for name in shown))
    out.print(table)
    if lacks:
        out.print(f"not shown for want of width: {', '.join(lacks)}", style="bright_black")


def _text(cell: str | Text) -> Text:
    return cell if isinstance(cell, Text) else Text(cell)


def percent(value: float | None, digits: int = 1) -> str:
    """Return a fraction as a percentage, or a dash for None.

    >>> percent(0.4213), percent(None)
    ('42.1 %', '–')
    """
    return "–" if value is None else f"{100 * value:.{digits}f} %"


def interval(score: dict[str, Any] | None) -> str:
    """Return a score with its 95 % confidence interval, or a dash.

    >>> interval({"pass_at_1": 0.5, "low": 0.45, "high": 0.55})
    '50.0 % [45.0, 55.0]'
    """
    if not score or score.get("pass_at_1") is None:
        return "–"
    low, high = 100 * score["low"], 100 * score["high"]
    return f"{100 * score['pass_at_1']:.1f} % [{low:.1f}, {high:.1f}]"


def dash(value: object) -> str:
    """Return the value as text, or a dash for None and empty text."""
    return "–" if value is None or value == "" else str(value)


def duration(seconds: float) -> str:
    """Return a duration in its two largest units.

    >>> duration(59.6), duration(185), duration(7_800), duration(273_600)
    ('1 min 00 s', '3 min 05 s', '2 h 10 min', '3 d 4 h')
    """
    total = max(0, round(seconds))
    for unit, name, part, part_name in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min")):
        if total >= unit:
            left = total % unit // part
            return (
                f"{total // unit} {name} {left if part_name == 'h' else f'{left:02d}'} {part_name}"
            )
    return f"{total // 60} min {total % 60:02d} s" if total >= 60 else f"{total} s"
