"""Role series of a run, computed from its logged series on reading (decision 0009). Pure.

Metrics are stored under their logged names; `format_reward` and the like are computed on reading, so that a
change of roles rewrites no stored number.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from cusp.protocol.run import RunMetadata
from cusp.roles.assign import SERIES, assign, formula
from cusp.roles.values import Assignment, Member, value_of
from monitor.detector import RewardRange, RunShape
from monitor.detector.detector import TOKEN_ACCURACY
from monitor.roles.ranges import ranges

PART = "\x02"  # prefix of a member's name while a point is assembled; no metric name can contain it
# Also read, for sentences and as a sign of supervised training; a step with nothing else is not a point.
BESIDE = frozenset({"frac_reward_zero_std", *TOKEN_ACCURACY})
LOGGED = " (logged)"  # suffix of a logged series that has a role's name but not its values

Point = dict[str, float]


@dataclass(frozen=True)
class RoleSeries:
    """Mapping from the stored series of a run to its role series.

    `plain` maps stored series that equal a role series, `made` has the members of computed ones.
    """

    assignment: Assignment
    plain: Mapping[str, str]  # stored name -> role series
    made: Mapping[str, tuple[Member, ...]]  # role series -> its members
    watched: frozenset[str]  # stored names that some role series depends on
    names: frozenset[str] = field(repr=False, default=frozenset())

    def labels(self, numbers: Mapping[str, int]) -> dict[int, str]:
        """Return the series ids to read, with the names under which `complete` expects their values."""
        labels = {numbers[name]: name for name in BESIDE if name in numbers}
        labels |= {numbers[stored]: series for stored, series in self.plain.items()}
        for members in self.made.values():
            for key in keys_of(members):
                if key in numbers:
                    labels[numbers[key]] = PART + key
        return labels

    def complete(self, points: dict[int, Point]) -> dict[int, Point]:
        """Return the points, read under `labels`, by role series, without empty ones."""
        beside = not BESIDE.isdisjoint(self.names)
        if not self.made and not beside:
            return points
        for step in list(points):
            whole = self._made(points[step]) if self.made else points[step]
            if not whole.keys() - BESIDE:
                del points[step]
            else:
                points[step] = whole
        return points

    def _made(self, point: Point) -> Point:
        parts = {name[1:]: value for name, value in point.items() if name.startswith(PART)}
        whole = {name: value for name, value in point.items() if not name.startswith(PART)}
        for series, members in self.made.items():
            value = value_of(members, parts)
            if value is not None:
                whole[series] = value
        return whole

    def shown(self, logged: Mapping[str, float]) -> Point:
        """Return a logged point as viewers see it: the role series, and all other logged series."""
        point = {self.outward(name): value for name, value in logged.items()}
        for series, members in self.made.items():
            value = value_of(members, logged)
            if value is not None:
                point[series] = value
        return point

    def outward(self, stored: str) -> str:
        """Return the public name of a stored series."""
        if stored in self.plain:
            return self.plain[stored]
        taken = stored in self.made or stored in self.plain.values()
        return stored + LOGGED if taken else stored

    def parts(self, series: str) -> tuple[Member, ...]:
        """Return the members of a role series, () if this run has no such series."""
        if series in self.made:
            return self.made[series]
        role = next((role for role, name in SERIES.items() if name == series), "")
        return self.assignment.members.get(role, ())

    def formula(self, series: str) -> str | None:
        """Return the formula of a role series as text, None if it was logged under its own name."""
        members = self.parts(series)
        return None if not members or self.plain.get(series) == series else formula(members)


def keys_of(members: Iterable[Member]) -> list[str]:
    """Return the stored names that the members read."""
    return [key for member in members for key in (member.key, member.also) if key is not None]


def role_series(names: Iterable[str], metadata: Mapping[str, Any]) -> RoleSeries:
    """Return the role series of a run with these logged names; `metadata` is that of its row.

    >>> found = role_series(["rewards/xmlcount", "kl"], {})
    >>> found.shown({"rewards/xmlcount": 0.5, "kl": 0.1})
    {'format_reward': 0.5, 'kl': 0.1}
    """
    told, weights = metadata.get("roles") or {}, metadata.get("reward_weights") or {}
    return _role_series(
        tuple(sorted(name for name in names if name.isprintable())),
        json.dumps(told) if told else "",
        json.dumps(weights) if weights else "",
    )


@lru_cache(maxsize=1024)
def _role_series(names: tuple[str, ...], told: str, weights: str) -> RoleSeries:
    found = assign(names, json.loads(told or "{}"), json.loads(weights or "{}"))
    plain: dict[str, str] = {}
    made: dict[str, tuple[Member, ...]] = {}
    for role, members in found.members.items():
        if len(members) == 1 and members[0].plain:
            plain[members[0].key] = SERIES[role]
        else:
            made[SERIES[role]] = members
    watched = frozenset(keys_of(m for members in found.members.values() for m in members))
    return RoleSeries(found, plain, made, watched, frozenset(names))


def shape_of(metadata: RunMetadata, found: Assignment | None = None) -> RunShape:
    """Return the detector's metadata of a run with this assignment of roles.

    Without an assignment the roles come from the names of the declared rewards.
    """
    if found is None:
        keys = [n if n in SERIES.values() else f"rewards/{n}" for n in metadata.rewards]
        found = assign(keys, metadata.roles, metadata.reward_weights)
    declared = {n: RewardRange(s.low, s.high, s.graded) for n, s in metadata.rewards.items()}
    return RunShape(
        completions_per_point=metadata.completions_per_point,
        rewards=ranges(found, declared),
        completion_limit_tokens=metadata.completion_limit_tokens,
        max_steps=metadata.max_steps,
        save_steps=metadata.save_steps,
        rewarded=bool(found.rewardlike),
    )


def same_past(before: RoleSeries, after: RoleSeries, metadata: Mapping[str, Any]) -> bool:
    """Return whether the detector's past input is the same under `after` as under `before`.

    An empty role may get a member, as its earlier points stay unmeasured.
    """
    if before is after:
        return True
    old, new = before.assignment.members, after.assignment.members
    if any(new.get(role) != members for role, members in old.items()):
        return False
    known = RunMetadata.model_validate(metadata)
    return shape_of(known, before.assignment) == shape_of(known, after.assignment)
