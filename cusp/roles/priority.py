"""Which metrics go first where there is not room for all: those that the detector can use."""

from collections.abc import Iterable
from functools import lru_cache

from cusp.metrics import CANONICAL, canonical_name
from cusp.roles.rules import found

REWARDS = "rewards/"


@lru_cache(maxsize=4096)
def rank(name: str) -> int:
    """Return 0 for a canonical metric, 1 for what has a role or is of a reward function, 2 for any other.

    >>> rank("format_reward"), rank("rewards/cosine/mean"), rank("time/forward")
    (0, 1, 2)
    """
    known = canonical_name(name)
    if known in CANONICAL:
        return 0
    return 1 if known.startswith(REWARDS) or found(name).role is not None else 2


def by_rank(names: Iterable[str]) -> list[str]:
    """Return the names, those that matter first, each kind in the order in which it came."""
    return sorted(names, key=rank)
