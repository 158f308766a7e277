"""Assigns detector roles to logged keys, by the rules of `rules.py` or as the user specified.

>>> found = assign(["rewards/soft_format_reward_func", "rewards/xmlcount_reward_func", "kl"])
>>> found.values({"rewards/soft_format_reward_func": 0.25, "rewards/xmlcount_reward_func": 0.5})
{'format': 0.75}
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

from cusp.errors import CuspError
from cusp.metrics import canonical_name, precedence
from cusp.roles.describe import describe, formula
from cusp.roles.rules import ROLES, SERIES, function_of, looks_like_reward, role_by_name
from cusp.roles.values import Assignment, Member

__all__ = [
    "ROLES",
    "SERIES",
    "Assignment",
    "Member",
    "RoleError",
    "assign",
    "check_roles",
    "describe",
    "formula",
]

FORMERLY = frozenset(
    {
        "rewards/format",
        "rewards/format_reward",
        "rewards/format_reward_func",
        "rewards/think_format_reward",
        "rewards/tag_format",
        "rewards/accuracy",
        "rewards/accuracy_reward",
        "rewards/accuracy_reward_func",
        "rewards/correctness_reward_func",
        "rewards/correctness_reward",
    }
)
"""Functions that clients before roles stored as `format_reward` and `accuracy_reward`."""

ADDED_UP = ("format", "accuracy")
"""The roles that several reward functions can share; the others are one key each."""

MOST_BY_NAME = 16
"""A role that more functions would have by name is left to a person: nobody trains with so many, and
names that differ from step to step would change the past with every step."""


class RoleError(CuspError, ValueError):
    """Roles that the user specified are invalid: the message names the role or key and the way out."""


def assign(
    names: Iterable[str],
    told: Mapping[str, Sequence[str]] | None = None,
    weights: Mapping[str, float] | None = None,
) -> Assignment:
    """Return the role of each logged key.

    `told` are the user's keys of a role, by key or by name of the reward function; such a role has exactly
    those, none if the list is empty. `weights` are the training weights by reward function, default 1.
    """
    told, weights = told or {}, weights or {}
    logged = _by_address(names)
    members, absent, taken = _told(told, logged)
    for address, name in logged.items():
        rule = role_by_name(name)
        if rule.role is not None and address not in taken and rule.role not in told:
            members.setdefault(rule.role, []).append(Member(name, "rule", rule.why, rule.bad))
    untrained: list[str] = []
    final: dict[str, tuple[Member, ...]] = {}
    for role in ROLES:
        chosen, left = _trained(_settled(role, members.get(role, [])), weights)
        untrained += left
        if chosen:
            final[role] = tuple(_weighted(member, chosen, weights) for member in chosen)
    used = {member.key for chosen in final.values() for member in chosen}
    used |= {member.also for chosen in final.values() for member in chosen if member.also}
    left_over = [
        name
        for name in logged.values()
        if name not in used
        and name not in untrained
        and function_of(name) is not None
        and not _covered(name, final)
    ]
    rewardlike = [name for name in logged.values() if name not in used and looks_like_reward(name)]
    return Assignment(
        final,
        tuple(sorted(left_over)),
        absent,
        tuple(sorted(untrained)),
        tuple(sorted(rewardlike)),
        unknown=tuple(role for role in told if role not in SERIES),
    )


def _told(
    told: Mapping[str, Sequence[str]], logged: Mapping[str, str]
) -> tuple[dict[str, list[Member]], dict[str, tuple[str, ...]], set[str]]:
    """Return the members of the roles told, the keys of these that were not logged, the names taken."""
    members: dict[str, list[Member]] = {}
    absent: dict[str, tuple[str, ...]] = {}
    taken: set[str] = set()
    for role in (role for role in ROLES if role in told):
        addresses = [(said, _address_of(said, logged)) for said in told[role]]
        if missing := tuple(said for said, address in addresses if address is None):
            absent[role] = missing
        own = dict.fromkeys(a for _, a in addresses if a is not None and a not in taken)
        taken |= own.keys()
        keys = [logged[address] for address in own]
        members[role] = [Member(key, "told", bad=role_by_name(key).bad) for key in keys]
    return members, absent, taken


def check_roles(told: Mapping[str, Sequence[str]], names: Iterable[str] = ()) -> None:
    """Raise RoleError for an unknown role, a key in two roles, or a key that was never logged.

    Without `names` (the logged keys) every key is accepted.
    """
    logged = _by_address(names)
    whose: dict[str, str] = {}
    for role, keys in told.items():
        if role not in SERIES:
            raise RoleError(f"{role!r:.80} is no role; the roles are {', '.join(ROLES)}")
        if isinstance(keys, str):
            raise RoleError(
                f"the keys of the role {role} must be a list, not {keys!r:.80}; write [{keys!r:.80}]"
            )
        if len(keys) > 1 and role not in ADDED_UP:
            raise RoleError(
                f"the role {role} is one key, not {len(keys)}; only {' and '.join(ADDED_UP)} can be shared"
            )
        for key in keys:
            address = _address_of(key, logged)
            if logged and address is None:
                raise RoleError(_not_logged(role, key, list(logged.values())))
            key_ = address or canonical_name(key)
            if whose.setdefault(key_, role) != role:
                raise RoleError(
                    f"{key!r:.80} is told for two roles, {whose[key_]} and {role}; a key has one role"
                )


def _not_logged(role: str, key: str, names: Sequence[str]) -> str:
    near = get_close_matches(key, names, n=3, cutoff=0.5) or sorted(names)[:5]
    return (
        f"{key!r:.80} was never logged, so it cannot be the {role}; logged under names like it:"
        f" {', '.join(near)}"
    )


def _by_address(names: Iterable[str]) -> dict[str, str]:
    """Return one logged key for each canonical name: the one with the highest precedence."""
    best: dict[str, str] = {}
    for name in names:
        address = canonical_name(name)
        if address not in best or precedence(name) < precedence(best[address]):
            best[address] = name
    return dict(sorted(best.items()))


def _address_of(said: str, logged: Mapping[str, str]) -> str | None:
    """Return the canonical name of the logged key that the user's text refers to, or None."""
    address = canonical_name(said)
    if address in logged:
        return address
    for other, name in logged.items():
        if said in (name, function_of(name)):
            return other
    return None


def _settled(role: str, members: list[Member]) -> list[Member]:
    """Return the members in use: the user's, else the role's own series alone, else all that rules found.

    A logged `format_reward` defines the format reward. Points of an older client have that key for a
    function that a newer client logs under its own name: one member with two keys.
    """
    if role not in ADDED_UP:
        return sorted(members, key=lambda m: precedence(m.key))[:1]
    own = next((m for m in members if canonical_name(m.key) == SERIES[role]), None)
    if own is None or own.source == "told":
        return members if len(members) <= MOST_BY_NAME or members[0].source == "told" else []
    others = [m for m in members if m is not own]
    if len(others) == 1 and canonical_name(others[0].key) in FORMERLY:
        return [_with_other_key(own, others[0].key)]
    return [own]


def _with_other_key(member: Member, key: str) -> Member:
    return Member(member.key, member.source, member.why, member.bad, also=key)


def _covered(name: str, final: Mapping[str, tuple[Member, ...]]) -> bool:
    """Return whether the key's role is already filled by a key of higher precedence."""
    rule = role_by_name(name)
    return rule.role is not None and any(m.source == "rule" for m in final.get(rule.role, ()))


def _trained(members: list[Member], weights: Mapping[str, float]) -> tuple[list[Member], list[str]]:
    """Return the members of nonzero weight, and the keys of the others.

    If all have weight 0 they are measured only (an accuracy beside a cosine reward) and all of them count.
    """
    trained = [member for member in members if _weight(member, weights) != 0]
    if not trained:
        return members, []
    return trained, [member.key for member in members if member not in trained]


def _weighted(member: Member, chosen: list[Member], weights: Mapping[str, float]) -> Member:
    weight = _weight(member, weights) or 1.0
    if len(chosen) == 1:  # one member keeps its logged scale
        weight = math.copysign(1.0, weight)
    scale, offset = (-weight, weight) if member.bad else (weight, 0.0)
    return Member(member.key, member.source, member.why, member.bad, scale, offset, member.also)


def _weight(member: Member, weights: Mapping[str, float]) -> float:
    function = function_of(member.key)
    if function is None:
        return 1.0
    return float(weights.get(function, weights.get(member.key, 1.0)))
