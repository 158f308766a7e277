"""Reader of HTML tables: those of transformers and Unsloth in notebooks, and pandas data frames."""

from html.parser import HTMLParser

from monitor.replay.readers.rows import Row, clean_name, is_step

_OMITTED = ("...", "…", "⋮")


class _Tables(HTMLParser):
    """Collects the cells of every table, row by row."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self._cell: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self.tables.append([])
        elif tag == "tr" and self.tables:
            self.tables[-1].append([])
        elif tag in ("td", "th") and self.tables:
            self._close()
            self._cell = []

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th", "tr", "table"):
            self._close()

    def handle_data(self, data: str) -> None:
        if self._cell is not None:
            self._cell.append(data)

    def _close(self) -> None:
        if self._cell is not None:
            if not self.tables[-1]:
                self.tables[-1].append([])
            self.tables[-1][-1].append("".join(self._cell).strip())
        self._cell = None


def step_tables(html: str, place: str) -> list[tuple[Row, ...]]:
    """Return the rows of every table with a step column, in order."""
    parser = _Tables()
    parser.feed(html)
    parser.close()
    return [rows for table in parser.tables if (rows := _rows(table, place))]


def _rows(table: list[list[str]], place: str) -> tuple[Row, ...]:
    """Return the rows below the first header line with a step column; () if there is none.

    pandas writes a second header line for a named index; it has no step column.
    """
    heads = [[clean_name(cell) for cell in cells] for cells in table[:3]]
    start = next((at for at, head in enumerate(heads) if any(map(is_step, head))), None)
    if start is None:
        return ()
    rows = []
    for number, cells in enumerate(table[start + 1 :], 1):
        named = dict(zip(heads[start], cells, strict=False))
        named.pop("", None)
        step = next((value for name, value in named.items() if is_step(name)), "")
        if step and step not in _OMITTED:
            rows.append(Row(f"{place}, row {number}", named))
    return tuple(rows)


def rows_omitted(html: str) -> bool:
    """Return whether pandas truncated the middle of a long table."""
    return any(f"<td>{mark}</td>" in html for mark in _OMITTED)
