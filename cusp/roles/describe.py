"""Sentences that explain a run's roles: the keys of each and why, missing roles and their cost."""

from collections.abc import Sequence

from cusp.roles.rules import ROLES
from cusp.roles.values import Assignment, Member

_LABELS = {"format": "format reward", "accuracy": "accuracy reward", "length": "completion length"}
_SHOWN = ("format", "accuracy", "length")
_MOST_NAMED = 8
_OF_REWARDS = ("format", "accuracy", "length", "reward", "reward_std")
_NO_REWARDS = (
    "No rewards are logged, as in supervised fine-tuning: curves, checkpoints and Stop work, and no format"
    " transition is expected (where there are rewards: Roles on the run's page)."
)


def describe(assignment: Assignment) -> list[str]:
    """Return sentences on the roles of a run, the three most important to the detector first.

    A run that logs neither rewards nor lengths is one sentence: nothing is missing in it.

    >>> from cusp.roles.assign import assign
    >>> found = assign(["rewards/soft_format_reward_func", "rewards/xmlcount_reward_func", "kl"])
    >>> print(*describe(found)[:2], sep="\\n")
    Format reward: rewards/soft_format_reward_func + rewards/xmlcount_reward_func (by name).
    Accuracy reward: none found, so a fall of it cannot be seen and its peak is no candidate.
    """
    if _without_rewards(assignment):
        return [_NO_REWARDS]
    asked = [role for role in ROLES if role in assignment.absent or _told(assignment, role)]
    said = [_role(role, assignment) for role in dict.fromkeys((*_SHOWN, *asked))]
    if assignment.untrained:
        said.append(f"Left out, as their weight is 0: {_listed(assignment.untrained)}.")
    if assignment.unrecognised:
        said.append(f"Not recognised, so in no role: {_listed(assignment.unrecognised)}.")
    if others := [key for key in assignment.rewardlike if key not in assignment.unrecognised]:
        said.append(f"Looks like a reward, but is in no role: {_listed(others)}.")
    if assignment.unknown:
        said.append(
            f"Told for what is no role: {_listed(assignment.unknown)}; the roles are {', '.join(ROLES)}."
        )
    if how := _how(assignment):
        said.append(how)
    return said


def _without_rewards(assignment: Assignment) -> bool:
    said = (
        assignment.unrecognised
        or assignment.untrained
        or assignment.absent
        or assignment.rewardlike
        or assignment.unknown
    )
    return not said and not any(assignment.members.get(role) for role in _OF_REWARDS)


def formula(members: Sequence[Member]) -> str:
    """Return the formula of a role's value over its keys, as text.

    >>> formula([Member("rewards/a", "rule", scale=0.5), Member("b_rate", "rule", "", True, -1.0, 1.0)])
    '0.5 x rewards/a + (1 - b_rate)'
    """
    return " + ".join(_term(member, len(members) > 1) for member in members)


def _term(member: Member, several: bool) -> str:
    weight = member.offset if member.bad else member.scale
    value = f"(1 - {member.key})" if member.bad and (weight != 1 or several) else member.key
    if member.bad and weight == 1 and not several:
        value = f"1 - {member.key}"
    if weight == 1:
        return value
    return f"-{value}" if weight == -1 else f"{weight:g} x {value}"


def _role(role: str, assignment: Assignment) -> str:
    label = _LABELS.get(role, role)
    label = label[0].upper() + label[1:]
    members = assignment.members.get(role, ())
    absent = assignment.absent.get(role, ())
    late = f"; told and not logged so far: {_listed(absent)}" if absent else ""
    if members:
        how = "told" if members[0].source == "told" else "by name"
        bad = "; a failure rate, of which up is bad" if any(m.bad for m in members) else ""
        return f"{label}: {formula(members)} ({how}{bad}){late}."
    return f"{label}: none found{late}{_cost(role, assignment)}."


def _cost(role: str, assignment: Assignment) -> str:
    """Return the consequence of a missing role as a sentence."""
    others = [_LABELS[other] for other in _SHOWN if assignment.members.get(other)]
    others += [other for other in ("entropy",) if assignment.members.get(other)]
    if role == "format":
        if not others:
            return ", and nothing else that shows a transition, so only a collapse can be seen"
        return f", so the transition is looked for in {_joined(others)} alone"
    if role == "accuracy":
        return ", so a fall of it cannot be seen and its peak is no candidate"
    return (
        ", so its turn, the second sign of a transition, cannot be seen" if role == "length" else ""
    )


def _how(assignment: Assignment) -> str | None:
    """Return a hint for setting roles if one is missing or was set wrongly, else None."""
    missing = [role for role in _SHOWN if not assignment.members.get(role)]
    if not missing and not assignment.absent and not assignment.unknown:
        return None
    role = (missing or list(assignment.absent) or ["format"])[0]
    return (
        f'To tell it: roles={{"{role}": ["KEY"]}} in the training, --role {role}=KEY for cusp'
        " replay, or Roles on the run's page."
    )


def _told(assignment: Assignment, role: str) -> bool:
    return any(member.source == "told" for member in assignment.members.get(role, ()))


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_MOST_NAMED])
    more = len(names) - _MOST_NAMED
    return f"{shown} and {more} more" if more > 0 else shown


def _joined(words: Sequence[str]) -> str:
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"
