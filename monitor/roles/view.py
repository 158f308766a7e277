"""Roles of a run in the shape of REST and the page. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from cusp.roles.assign import assign, describe, formula
from cusp.roles.rules import ROLES, function_of
from monitor.roles.role_series import RoleSeries, role_series

CHOSEN = ("format", "accuracy", "length")
"""The roles that a person is asked for."""


def roles_view(names: Iterable[str], metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `Roles` object of a run with these logged names.

    `keys` are the reward functions and all keys with a role, with the role by the rules alone.

    >>> found = roles_view(["rewards/xmlcount", "kl"], {})
    >>> found["made_of"], found["keys"][0]["role"], found["others"]
    ({'format': 'rewards/xmlcount', 'kl': 'kl'}, 'format', ['kl'])
    """
    found = role_series([name for name in names if name.isprintable()], metadata)
    logged = sorted(found.names)
    by_rule = assign(logged, {}, metadata.get("reward_weights") or {}).keys()
    now = found.assignment.keys()
    keys = [
        {
            "key": key,
            "role": now.get(key),
            "source": _source(found, key),
            "by_rule": by_rule.get(key),
        }
        for key in logged
        if function_of(key) is not None or {now.get(key), by_rule.get(key)} & set(CHOSEN)
    ]
    listed = {one["key"] for one in keys}
    return {
        "told": dict(metadata.get("roles") or {}),
        "made_of": {
            role: _made_of(found, role) for role in ROLES if found.assignment.members.get(role)
        },
        "keys": keys,
        "others": [key for key in logged if key not in listed],
        "unrecognised": list(found.assignment.unrecognised),
        "words": describe(found.assignment) if logged else [],
    }


def _source(found: RoleSeries, key: str) -> str | None:
    for members in found.assignment.members.values():
        for member in members:
            if key in (member.key, member.also):
                return member.source
    return None


def _made_of(found: RoleSeries, role: str) -> str:
    return formula(found.assignment.members[role])
