"""What a person tells of a training, checked where it is told: before anything was trained."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

from cusp.errors import CuspError
from cusp.protocol.fields import MAX_NAME_LENGTH
from cusp.protocol.run import Policy, RunMetadata
from cusp.roles.assign import check_told

MOST_KEYS = 64
Roles = Mapping[str, str | Sequence[str]]
_ACTIONS = get_args(Policy.model_fields["action"].annotation)


class ToldError(CuspError, ValueError):
    """An argument means nothing; the message names it and the way out."""


def policy_told(policy: Policy | str | None) -> Policy | None:
    """Return the policy; one of its actions may stand for it."""
    if policy is None or isinstance(policy, Policy):
        return policy
    if policy not in _ACTIONS:
        raise ToldError(
            f"policy is {policy!r}; use {_either(_ACTIONS)}, or a cusp.Policy for more than that"
        )
    return Policy(action=policy)  # type: ignore[arg-type]


def run_told(project: Any, name: Any, tags: Any, config: Any, metadata: Any) -> dict[str, Any]:
    """Return what names a run, where each is of its kind."""
    for what, text in (("project", project), ("name", name)):
        if text is not None and not (isinstance(text, str) and text.strip() and "\0" not in text):
            raise ToldError(f"{what} is {text!r:.80}; use a text")
    if tags is not None and (
        not isinstance(tags, list | tuple) or not all(isinstance(tag, str) and tag for tag in tags)
    ):
        raise ToldError(f'tags is {tags!r:.80}; use a list of texts like ["ablation"]')
    if config is not None and not isinstance(config, Mapping):
        raise ToldError(f"config is a {type(config).__name__}; use a dict")
    if metadata is not None and not isinstance(metadata, RunMetadata):
        raise ToldError(f"metadata is a {type(metadata).__name__}; use cusp.RunMetadata(...)")
    given_tags = None if tags is None else [str(tag) for tag in tags]
    return {"project": project, "name": name, "tags": given_tags, "config": config}


def roles_told(roles: Roles | None, functions: Iterable[str] = ()) -> dict[str, list[str]]:
    """Return the keys of each role; the name of one of the reward `functions` stands for its key.

    ToldError or RoleError when a role is none of the detector's or a key is told for two of them.
    """
    known = set(functions)
    if roles is None:
        return {}
    if not isinstance(roles, Mapping):
        raise ToldError(
            f"roles is a {type(roles).__name__}; use a dict like"
            ' {"format": ["soft_format_reward_func"]}'
        )
    told = {
        _name(role): [_key(key, known) for key in _list(role, keys)] for role, keys in roles.items()
    }
    check_told(told)
    return told


def _list(role: str, keys: Any) -> Sequence[str]:
    if isinstance(keys, str):
        return [keys]
    if isinstance(keys, Mapping) or not isinstance(keys, Iterable):
        raise ToldError(
            f"roles[{role!r}] is {keys!r:.80}; use the names of its reward functions or logged keys"
        )
    if len(found := list(keys)) > MOST_KEYS:
        raise ToldError(f"roles[{role!r}] has {len(found)} keys; a role has at most {MOST_KEYS}")
    return found


def _key(name: Any, functions: set[str]) -> str:
    name = _name(name)
    return f"rewards/{name}" if name in functions else name


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value or len(value) > MAX_NAME_LENGTH or "\0" in value:
        raise ToldError(
            f"roles holds {value!r:.80}; names are texts of 1 to {MAX_NAME_LENGTH} characters"
        )
    return value


def _either(words: Sequence[str]) -> str:
    return ", ".join(repr(word) for word in words[:-1]) + f" or {words[-1]!r}"
