"""Range of a role's values, from the declared ranges of its reward functions. Pure."""

from collections.abc import Mapping, Sequence

from cusp.roles.assign import SERIES
from cusp.roles.rules import function_of, role_by_name
from cusp.roles.values import Assignment, Member
from monitor.detector import RewardRange


def ranges(assignment: Assignment, declared: Mapping[str, RewardRange]) -> dict[str, RewardRange]:
    """Return the range of each role's series: the weighted sum of the ranges of its functions.

    `declared` is by function name, logged key or role series. A role with a function of unknown range is
    left out.

    >>> from cusp.roles.assign import assign
    >>> two = assign(["rewards/soft_format", "rewards/xmlcount"], {}, {"xmlcount": 2.0})
    >>> ranges(two, {"soft_format": RewardRange(0, 0.5), "xmlcount": RewardRange(-1, 0.5)})
    {'format_reward': RewardRange(low=-2.0, high=1.5, graded=True)}
    """
    result: dict[str, RewardRange] = {}
    for role, members in assignment.members.items():
        series = SERIES[role]
        if series in declared:  # declared for the role as a whole
            result[series] = declared[series]
            continue
        parts = [_of(role, member, members, declared) for member in members]
        known = [part for part in parts if part is not None]
        if len(known) == len(parts):
            result[series] = _sum(known, members)
    return result


def _of(
    role: str,
    member: Member,
    members: Sequence[Member],
    declared: Mapping[str, RewardRange],
) -> RewardRange | None:
    for name in (function_of(member.key), member.key, function_of(member.also or "")):
        if name is not None and name in declared:
            return declared[name]
    # An older client logged a function under its role's name, but declared its range under its own name.
    same = [name for name in declared if role_by_name(f"rewards/{name}").role == role]
    return declared[same[0]] if len(same) == len(members) == 1 else None


def _sum(parts: Sequence[RewardRange], members: Sequence[Member]) -> RewardRange:
    if len(parts) == 1 and members[0].scale == 1 and members[0].offset == 0:
        return parts[0]
    ends = [
        sorted(member.offset + member.scale * end for end in (part.low, part.high))
        for part, member in zip(parts, members, strict=True)
    ]
    graded = len(parts) > 1 or any(part.graded for part in parts)
    return RewardRange(sum(low for low, _ in ends), sum(high for _, high in ends), graded)
