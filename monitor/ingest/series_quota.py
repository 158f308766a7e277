"""Quota of metric names per run; metrics that the detector uses are always admitted.

The first 2,000 names would otherwise be the only ones, and a metric whose name changes with each step
would lock the format reward out.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from cusp.metrics import canonical_name
from cusp.roles.priority import rank
from monitor.store.points import AT

REWARD_ROOM = 256  # series of reward functions that find room whatever else there is


def refused(
    known: Iterable[str], new: Iterable[str], limit: int, told: frozenset[str] = frozenset()
) -> list[str]:
    """Return which of the new names find no room beside the known ones; `told` are named by a person.

    >>> refused(["a", "b"], ["c", "format_reward", "rewards/x"], 2)
    ['c']
    """
    rewards = others = 0
    for name in known:
        place = _rank(name, told)
        rewards += place == 1
        others += place == 2
    out = []
    for name in new:
        place = _rank(name, told)
        if place == 1 and rewards < REWARD_ROOM:
            rewards += 1
        elif place and others + max(0, rewards - REWARD_ROOM) >= limit:
            out.append(name)
        elif place == 1:
            rewards += 1
        else:
            others += place == 2
    return out


def told_names(metadata: Mapping[str, Any]) -> frozenset[str]:
    """Return the names that the run's metadata gives a role, as they were logged and as canonical ones."""
    return _told(tuple(name for names in (metadata.get("roles") or {}).values() for name in names))


@lru_cache(maxsize=256)
def _told(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(names) | frozenset(canonical_name(name) for name in names)


def _rank(name: str, told: frozenset[str]) -> int:
    return 0 if name == AT or name in told else rank(name)
