"""The page of the runs table, as HTML: its columns, links that keep what was asked for, groups."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from webui.address import query_at
from webui.format import column_label
from webui.templating import render

Record = Mapping[str, Any]
Records = Sequence[Record]

STATUSES = ("running", "stopping", "stopped", "finished", "failed", "lost")


class Head(NamedTuple):
    """A column's header: its key in a row, its label, by what the server sorts it, whether it holds numbers."""

    key: str
    label: str
    sort: str
    numeric: bool = True


HEADS = (
    Head("name", "Run", "name", False),
    Head("status", "Status", "status", False),
    Head("step", "Step", "step"),
    Head("phase", "Phase", "phase", False),
    Head("contact", "Last contact", "contact"),
    Head("format", "Format", "last:format_reward"),
    Head("length", "Length", "last:completion_length"),
    Head("accuracy", "Accuracy", "last:accuracy_reward"),
    Head("transition", "Transition", "transition"),
    Head("kept", "Kept", "kept"),
    Head("score", "pass@1", "score"),
    Head("saved", "Saved", "saved"),
)
GROUP_HEADS = {
    "step": "Step",
    "transition": "Transition",
    "kept": "Kept",
    "score": "pass@1",
    "saved": "Saved",
}


class Place(NamedTuple):
    """Position of a page in the table: the number of runs, and of those before it.

    `older` and `newer` are the `by` parameters of the adjacent pages; `newer` is also None on page 1.
    """

    total: int
    first: int = 0
    older: str | None = None
    newer: str | None = None
    by: str = "before"


class Links:
    """Addresses of the table that keep what was asked for."""

    def __init__(self, asked: Record) -> None:
        self.asked = asked

    def __call__(self, **more: Any) -> str:
        """Return the address with other parameters; an empty one is left out."""
        return query_at(
            "/", {name: value or None for name, value in {**self.asked, **more}.items()}
        )

    def sorted_by(self, head: Head) -> str:
        """Return the address sorted by a column: numbers the greatest first, then the other way round."""
        first, second = head.sort, f"-{head.sort}"
        if head.numeric:
            first, second = second, first
        return self(sort=second if self.asked.get("sort") == first else first)

    def direction(self, head: Head) -> str:
        """Return the column's aria-sort."""
        sort = self.asked.get("sort")
        return {head.sort: "ascending", f"-{head.sort}": "descending"}.get(sort or "", "none")

    def of_group(self, key: str, value: str) -> str:
        """Return the address of the runs of a group."""
        config = [*self.asked.get("config", ()), f"{key}={value}"]
        return self(group=None, config=config)


def runs_page(
    runs: Records,
    *,
    pinned: Records = (),
    groups: Records | None = None,
    project: str | None = None,
    cursor: int = 0,
    place: Place | None = None,
    asked: Record | None = None,
    database: str = "",
    needs_token: bool = False,
    tag: str = "",
    now: float | None = None,
) -> str:
    """Return a page of the runs table; `cursor` is the position from which /api/v1/events continues.

    `asked` are the query parameters that made the selection and its view, the place apart. `groups` (as
    `monitor.store.table.grouping.Group`) are shown in place of the runs. `database` is the id of the database
    shown; `needs_token`: a client needs a token to send a run; `tag` is the ETag of the same list over REST;
    `now` (UTC seconds) makes the last contacts relative.
    """
    place, asked = place or Place(len(runs)), {"project": project, **(asked or {})}
    return render(
        "pages/runs.html",
        runs=runs,
        pinned=pinned,
        pinned_ids=[run["id"] for run in pinned],
        groups=groups,
        **_columns(asked.get("column") or ()),
        project=project,
        cursor=cursor,
        place=place,
        asked=asked,
        searched=any(asked.get(name) for name in ("q", "status", "config")),
        link=Links(asked),
        statuses=STATUSES,
        database=database,
        needs_token=needs_token,
        tag=tag,
        now=now,
    )


def _columns(columns: Sequence[str]) -> Record:
    """Return the template variables that follow from the columns of choice."""
    metrics = {one: column_label(one) for one in columns if not one.startswith("config:")}
    extra = [Head(one, column_label(one), one) for one in columns]
    return {
        "columns": columns,
        "heads": [*HEADS[:4], *extra, *HEADS[4:]],
        "group_heads": {**GROUP_HEADS, **metrics},
    }
