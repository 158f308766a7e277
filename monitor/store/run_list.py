"""The list of runs: pages that stay where they are when new runs come, searching, finding one by a word.

A page goes on before a place, which is the time and id of its last run. So no run is shown twice or left
out because others were announced meanwhile.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    bindparam,
    exists,
    false,
    func,
    insert,
    or_,
    select,
    tuple_,
    update,
)

from cusp.ids import is_id
from cusp.protocol.run import RunStart
from monitor.database.schema import commands, purged, run_search, runs
from monitor.store.commands import PENDING
from monitor.store.table.config_text import NUMBER, config_text, number_or_null

SHORTEST_PART = 4  # of an id, to mean a run by it: fewer characters are a name, or nothing
# Without the config, which may be megabytes, and the notes: no list shows them.
_SHOWN = [column for column in runs.c if column.name not in ("config", "notes")]

_SOME = select(*_SHOWN).where(runs.c.id.in_(bindparam("runs", expanding=True)))


@dataclass(frozen=True)
class Wanted:
    """Which runs: None wants all.

    `text` is searched for, each of its words in name, project, tags or as the beginning of the id;
    `meant` is one run as a person names it: its id, its name, or the beginning or end of its id (of four
    characters at least).
    `config` has keys of the configuration and their values as text.
    `only` and `within` are the run and the project that the asker's token is limited to.
    """

    project: str | None = None
    within: str | None = None
    only: str | None = None
    name: str | None = None
    text: str | None = None
    meant: str | None = None
    status: str | None = None
    config: tuple[tuple[str, str], ...] = ()


class PageCursor(NamedTuple):
    """Where in the list: the time by which it is ordered, and the id."""

    at: float
    run_id: str

    def __str__(self) -> str:
        return f"{self.at!r}_{self.run_id}"


class Page(NamedTuple):
    """Runs of a list with their number, how many are before them, and where the pages around begin.

    `older` and `newer` are what the next and the previous page come before; of the first page `newer`
    is None, and so it is of the second one.
    """

    runs: Sequence[Row[Any]]
    total: int
    first: int
    older: PageCursor | None
    newer: PageCursor | None


def place_of(text: str) -> PageCursor:
    """Return the place that `str(place)` wrote; ValueError when it is none.

    >>> str(place_of("1800000000.25_01ARZ3NDEKTSV4RRFFQ69G5FAV"))
    '1800000000.25_01ARZ3NDEKTSV4RRFFQ69G5FAV'
    """
    at, _, run_id = text.partition("_")
    number = float(at)
    if not is_id(run_id) or number - number != 0.0:
        raise ValueError(f"{text!r} is no place in a list")
    return PageCursor(number, run_id)


def page_tag(found: Page, silent_since: float) -> str:
    """Return an ETag of a page: it changes with any change of a run of it, and when one of them is lost."""
    states = [
        (run.id, run.cursor, run.last_contact_at, run.last_contact_at < silent_since)
        for run in found.runs
    ]
    return f'"{zlib.crc32(repr((states, found.total)).encode()):08x}"'


def words(name: str, project: str, tags: Sequence[str]) -> str:
    """Return what a run is found by."""
    return " ".join([name, project, *tags]).casefold()


def make_findable(connection: Connection, start: RunStart) -> None:
    """Store what a new run is found by."""
    row = {"run_id": start.run_id, "words": words(start.name, start.project, start.tags)}
    connection.execute(insert(run_search).values(**row))


def find_anew(connection: Connection, run: Row[Any]) -> None:
    """Store what a run is found by after its name or tags changed."""
    found = words(run.name, run.project, run.tags)
    connection.execute(update(run_search).where(run_search.c.run_id == run.id).values(words=found))


def page(
    connection: Connection,
    wanted: Wanted,
    limit: int,
    before: PageCursor | None = None,
    *,
    deleted: bool = False,
    now: float = 0.0,
    lost_after_s: float = 0.0,
    extra: Sequence[ColumnElement[Any]] = (),
) -> Page:
    """Return the newest runs first, those before a place; or the deleted ones, the last deleted first.

    Each row also has the `extra` expressions.
    """
    order = runs.c.deleted_at if deleted else runs.c.created_at
    given = conditions(wanted, now - lost_after_s)
    given.append(runs.c.deleted_at.is_not(None) if deleted else runs.c.deleted_at.is_(None))
    if deleted:
        given.append(~exists().where(purged.c.run_id == runs.c.id))
    key = tuple_(order, runs.c.id)
    newer = key >= tuple_(*before) if before is not None else false()
    counted = select(func.count(), func.count().filter(newer)).select_from(runs).where(*given)
    total, first = connection.execute(counted).one()
    statement = select(*_SHOWN, *extra).where(*given).order_by(order.desc(), runs.c.id.desc())
    if before is not None:
        statement = statement.where(key < tuple_(*before))
    found = connection.execute(statement.limit(limit + 1)).all()
    shown, more = found[:limit], len(found) > limit
    older = PageCursor(getattr(shown[-1], order.name), shown[-1].id) if more else None
    newer_place = None
    if before is not None and first > limit:
        back = select(order, runs.c.id).where(*given, newer)
        row = connection.execute(
            back.order_by(order, runs.c.id).offset(limit).limit(1)
        ).one_or_none()
        newer_place = PageCursor(*row) if row else None
    return Page(shown, total, first, older, newer_place)


def some(
    connection: Connection, run_ids: Sequence[str], extra: Sequence[ColumnElement[Any]] = ()
) -> Sequence[Row[Any]]:
    """Return those of these runs that are there, deleted ones too, with the `extra` expressions."""
    statement = _SOME.add_columns(*extra) if extra else _SOME
    return connection.execute(statement, {"runs": list(run_ids)}).all()


def conditions(wanted: Wanted, silent_since: float) -> list[ColumnElement[bool]]:
    """Return the conditions on `runs`; a run not heard of since `silent_since` is lost."""
    given: list[ColumnElement[bool]] = []
    for project in (wanted.project, wanted.within):
        if project is not None:
            given.append(runs.c.project == project)
    if wanted.only is not None:
        given.append(runs.c.id == wanted.only)
    if wanted.name is not None:
        given.append(runs.c.name == wanted.name)
    if wanted.status is not None:
        given.append(_has_status(wanted.status, silent_since))
    if wanted.meant is not None:
        given.append(_meant(wanted.meant))
    given += [_has_word(word) for word in (wanted.text or "").split()]
    given += [_has_value(key, value) for key, value in wanted.config]
    return given


def _has_value(key: str, value: str) -> ColumnElement[bool]:
    """Return that a key of the configuration has this value: numbers are compared as numbers."""
    text = config_text(key)
    if NUMBER.match(value):
        return or_(text == value, number_or_null(text) == float(value))
    if value.startswith(("[", "{")):
        return text.in_([value, value.replace(", ", ",").replace(": ", ":")])  # as SQLite writes it
    return text == value


def _has_word(word: str) -> ColumnElement[bool]:
    there = select(run_search.c.run_id).where(
        run_search.c.words.contains(word.casefold(), autoescape=True)
    )
    begins = _begins(word)
    return runs.c.id.in_(there) if begins is None else or_(runs.c.id.in_(there), begins)


def _meant(text: str) -> ColumnElement[bool]:
    begins = _begins(text)
    if begins is None or len(text) < SHORTEST_PART:
        return runs.c.name == text
    ends = runs.c.id.endswith(text.upper(), autoescape=True)
    return or_(runs.c.name == text, begins, ends)


def _begins(text: str) -> ColumnElement[bool] | None:
    """Return that the id begins with the text; None when no id does."""
    if not text.isalnum() or not text.isascii() or len(text) > 26:
        return None
    upper = text.upper()
    return runs.c.id.between(upper.ljust(26, "0"), upper.ljust(26, "Z"))


def _has_status(status: str, silent_since: float) -> ColumnElement[bool]:
    """Return the status as `schemas.run.status_of` makes it."""
    if status not in ("running", "stopping", "lost"):
        return runs.c.status == status
    silent = runs.c.last_contact_at < silent_since
    if status == "lost":
        return and_(runs.c.status == "running", silent)
    stopping = exists().where(
        commands.c.run_id == runs.c.id, commands.c.kind == "stop", commands.c.state.in_(PENDING)
    )
    return and_(
        runs.c.status == "running", ~silent, stopping if status == "stopping" else ~stopping
    )
