"""Priority of metrics under a limit: those that the detector uses come first."""

from collections.abc import Iterable
from functools import lru_cache

from cusp.metrics import CANONICAL, canonical_name
from cusp.roles.rules import role_by_name

REWARDS = "rewards/"


@lru_cache(maxsize=4096)
def rank(name: str) -> int:
    """Return 0 for a canonical metric, 1 for one with a role or of a reward function, 2 for any other.

    >>> rank("format_reward"), rank("rewards/cosine/mean"), rank("time/forward")
    (0, 1, 2)
    """
    known = canonical_name(name)
    if known in CANONICAL:
        return 0
    return 1 if known.startswith(REWARDS) or role_by_name(name).role is not None else 2


def by_rank(names: Iterable[str]) -> list[str]:
    """Return the names sorted by rank; the sort is stable."""
    return sorted(names, key=rank)
