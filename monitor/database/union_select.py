"""Several short SELECTs as one statement: what a page reads of small tables in one round trip."""

from collections import namedtuple
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, cast, literal, null, select, union_all


class UnionSelect:
    """SELECTs of the same parameters, each with the columns and types that it has alone.

    They are the parts of a UNION ALL, padded with NULL; so their own order is lost, and `by` says how the rows of
    each are sorted: the names of columns, a `-` before the first one for falling order.
    """

    def __init__(self, parts: Mapping[str, Select[Any]], by: Mapping[str, str]) -> None:
        self._by = by
        found = {name: part.subquery(name) for name, part in parts.items()}
        self._shapes: dict[str, Any] = {}
        self._places: dict[str, slice] = {}
        end = 1
        for name, one in found.items():
            self._shapes[name] = namedtuple(name, one.c.keys())
            self._places[name] = slice(end, end := end + len(one.c))
        arms = []
        for name in found:
            padded = (
                (column if other == name else cast(null(), column.type)).label(f"{other}_{key}")
                for other, one in found.items()
                for key, column in one.c.items()
            )
            arms.append(select(literal(name).label("part"), *padded))
        self._asked = union_all(*arms)

    def read(self, connection: Connection, given: Mapping[str, Any]) -> dict[str, Sequence[Any]]:
        """Return the rows of each SELECT, by the name it was given."""
        found: dict[str, list[Any]] = {name: [] for name in self._shapes}
        for row in connection.execute(self._asked, given):
            found[row[0]].append(self._shapes[row[0]](*row[self._places[row[0]]]))
        return {name: _sorted(rows, self._by[name]) for name, rows in found.items()}


def _sorted(rows: list[Any], by: str) -> list[Any]:
    names = by.removeprefix("-").split()
    return sorted(
        rows, key=lambda row: [getattr(row, name) for name in names], reverse=by.startswith("-")
    )
