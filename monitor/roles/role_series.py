"""The series of a run's roles, made from what its trainer logged. Pure.

Stored is what was logged, under its own name; `format_reward` and the like are made when they are read,
so that other roles change what is seen without a stored number being written anew.
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
from monitor.roles.ranges import ranges

PART = "\x02"  # before the name of a part of a role while a point is put together; no metric has it
# Read beside the roles, for the sentences alone; a step that measured nothing else is no point.
BESIDE = frozenset({"frac_reward_zero_std"})
LOGGED = " (logged)"  # after the name of a logged series that is not the role of that name

Point = dict[str, float]


@dataclass(frozen=True)
class RoleSeries:
    """How the role series of a run come out of its stored ones.

    `plain` names the role series that are a stored one as it is, `made` what is computed of which.
    """

    assignment: Assignment
    plain: Mapping[str, str]  # stored name -> role series
    made: Mapping[str, tuple[Member, ...]]  # role series -> its parts
    watched: frozenset[str]  # stored names that some role series is made of
    names: frozenset[str] = field(repr=False, default=frozenset())

    def labels(self, numbers: Mapping[str, int]) -> dict[int, str]:
        """Return the series ids to read with the names under which `complete` wants their values."""
        labels = {numbers[name]: name for name in BESIDE if name in numbers}
        labels |= {numbers[stored]: series for stored, series in self.plain.items()}
        for members in self.made.values():
            for key in keys_of(members):
                if key in numbers:
                    labels[numbers[key]] = PART + key
        return labels

    def complete(self, points: dict[int, Point]) -> dict[int, Point]:
        """Return the points, read under `labels`, by role series; one that measured nothing is left out."""
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
        """Return a logged point as viewers see it: the role series, and what is no role on its own."""
        point = {self.outward(name): value for name, value in logged.items()}
        for series, members in self.made.items():
            value = value_of(members, logged)
            if value is not None:
                point[series] = value
        return point

    def outward(self, stored: str) -> str:
        """Return the name under which a stored series is shown."""
        if stored in self.plain:
            return self.plain[stored]
        taken = stored in self.made or stored in self.plain.values()
        return stored + LOGGED if taken else stored

    def parts(self, series: str) -> tuple[Member, ...]:
        """Return what a role series is made of, nothing if there is no such series in this run."""
        if series in self.made:
            return self.made[series]
        role = next((role for role, name in SERIES.items() if name == series), "")
        return self.assignment.members.get(role, ())

    def formula(self, series: str) -> str | None:
        """Return what a role series is made of in words, None where it was logged as that."""
        members = self.parts(series)
        return None if not members or self.plain.get(series) == series else formula(members)


def keys_of(members: Iterable[Member]) -> list[str]:
    """Return the stored names that the members read."""
    return [key for member in members for key in (member.key, member.also) if key is not None]


def role_series(names: Iterable[str], metadata: Mapping[str, Any]) -> RoleSeries:
    """Return the role series of a run that logged these names; `metadata` is that of its row.

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
    """Return what the detector wants to know of a run whose keys have these roles.

    Without an assignment the names of the declared rewards tell the roles.
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
    )


def same_past(before: RoleSeries, after: RoleSeries, metadata: Mapping[str, Any]) -> bool:
    """Return whether what was folded under `before` is the same under `after`.

    A role that was empty may get a member, as its earlier points stay unmeasured.
    """
    if before is after:
        return True
    old, new = before.assignment.members, after.assignment.members
    if any(new.get(role) != members for role, members in old.items()):
        return False
    known = RunMetadata.model_validate(metadata)
    return shape_of(known, before.assignment) == shape_of(known, after.assignment)
