"""Members of a role, and the role's value at a point."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Member:
    """A logged key in a role; it contributes `offset + scale * value`.

    `also` is the key of the same function in points of an older client.
    """

    key: str
    source: str  # "rule" | "told"
    why: str = ""
    bad: bool = False
    scale: float = 1.0
    offset: float = 0.0
    also: str | None = None

    def value(self, metrics: Mapping[str, float]) -> float | None:
        """Return the key's contribution to its role at a point, None where it was not logged."""
        raw = metrics.get(self.key)
        if raw is None and self.also is not None:
            raw = metrics.get(self.also)
        return None if raw is None else self.offset + self.scale * raw

    @property
    def plain(self) -> bool:
        """Whether the contribution equals the logged value."""
        return (self.scale, self.offset, self.also) == (1.0, 0.0, None)


def value_of(members: Sequence[Member], metrics: Mapping[str, float]) -> float | None:
    """Return the sum of the members' contributions, None where one of them was not logged.

    >>> both = (Member("a", "rule", scale=2.0), Member("b", "rule"))
    >>> value_of(both, {"a": 0.25, "b": 0.5}), value_of(both, {"a": 0.25})
    (1.0, None)
    """
    total = 0.0
    for member in members:
        part = member.value(metrics)
        if part is None:
            return None
        total += part
    return total if members and math.isfinite(total) else None


@dataclass(frozen=True)
class Assignment:
    """The members of every role that has any, and the keys left over.

    `unrecognised`: reward functions without a role. `absent`: the user's keys that are not logged.
    `untrained`: functions of weight 0 that were left out of a role. `rewardlike`: all keys without a role whose
    names look like a reward's, functions or not; where there are any, the training is not supervised.
    """

    members: Mapping[str, tuple[Member, ...]] = field(default_factory=dict)
    unrecognised: tuple[str, ...] = ()
    absent: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    untrained: tuple[str, ...] = ()
    rewardlike: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()  # the user's roles that do not exist

    def values(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """Return the value of each role at a point.

        A role of several functions is their sum, weighted as trained. If one of them was not logged, the
        role has no value: a partial sum would look like a fall.
        """
        result = {}
        for role, members in self.members.items():
            value = value_of(members, metrics)
            if value is not None:
                result[role] = value
        return result

    def keys(self) -> dict[str, str]:
        """Return the role of every key that has one."""
        pairs = ((k, r) for r, ms in self.members.items() for m in ms for k in (m.key, m.also))
        return {key: role for key, role in pairs if key is not None}
