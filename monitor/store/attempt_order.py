"""The order of a run's attempts: that of their announcement, but for those that name their place. Pure.

No clock of a box has a say in it, so neither has an attempt's id. An attempt that is announced late (`cusp
sync` of an offline one) names the attempt before it. The order follows from what is known of all of them, not
from the order in which that became known.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol


class AttemptPlace(Protocol):
    """An attempt as it was announced: `key` counts the announcements of its run."""

    @property
    def id(self) -> str: ...
    @property
    def key(self) -> int: ...
    @property
    def after(self) -> str | None: ...
    @property
    def late(self) -> bool | None: ...


def in_order(rows: Sequence[AttemptPlace]) -> list[str]:
    """Return the ids of a run's attempts in the order of their lives.

    One that lives when it is announced (`late` False) takes its turn, whatever box it goes on from; any
    other goes right behind the one it names. None comes before the one it names, where that is known.
    """
    by_id = {row.id: row for row in rows}
    followers: dict[str | None, list[AttemptPlace]] = {}
    turns = []
    for row in sorted(rows, key=lambda row: row.key):
        if row.late is False or row.after not in by_id:
            turns.append(row)
        else:
            followers.setdefault(row.after, []).append(row)
    # The first one of a folder that is told late is older than what was announced before it.
    turns.sort(key=lambda row: not (row.late and row.after is None))
    found: dict[str, None] = {}
    for row in [*turns, *rows]:  # those that name each other in a circle have no turn
        for one in reversed(_line(row, by_id, found)):
            _add(one, followers, found)
    return list(found)


def _line(
    row: AttemptPlace, by_id: Mapping[str, AttemptPlace], found: Mapping[str, None]
) -> list[AttemptPlace]:
    """Return the attempt and those before it that have no place yet, each after the one it names."""
    line: dict[str, AttemptPlace] = {}
    one: AttemptPlace | None = row
    while one is not None and one.id not in line and one.id not in found:
        line[one.id] = one
        one = by_id.get(one.after) if one.after else None
    return list(line.values())


def _add(
    row: AttemptPlace,
    followers: Mapping[str | None, Sequence[AttemptPlace]],
    found: dict[str, None],
) -> None:
    """Give the attempt the next place, and those right behind it theirs."""
    waiting = [row]
    while waiting:
        one = waiting.pop()
        if one.id not in found:
            found[one.id] = None
            waiting += reversed(followers.get(one.id, []))
