"""Validates the user's arguments of `watch` and the callback, before the training begins."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

from cusp.errors import CuspError
from cusp.protocol.fields import MAX_NAME_LENGTH
from cusp.protocol.run import Policy, RunMetadata
from cusp.roles.assign import check_roles

MOST_KEYS = 64
Roles = Mapping[str, str | Sequence[str]]
_ACTIONS = get_args(Policy.model_fields["action"].annotation)


class OptionError(CuspError, ValueError):
    """An argument is invalid; the message names it and the way out."""


def checked_policy(policy: Policy | str | None) -> Policy | None:
    """Return the policy; a string is the action of a default one."""
    if policy is None or isinstance(policy, Policy):
        return policy
    if policy not in _ACTIONS:
        raise OptionError(
            f"policy is {policy!r}; use {_either(_ACTIONS)}, or a cusp.Policy for more than that"
        )
    return Policy(action=policy)  # type: ignore[arg-type]


def checked_evaluate(evaluate: Any) -> Any:
    """Return the function or None; OptionError for anything that cannot be called."""
    if evaluate is not None and not callable(evaluate):
        raise OptionError(f"evaluate is {evaluate!r:.80}; use a function of a checkpoint's path")
    return evaluate


def checked_run(project: Any, name: Any, tags: Any, config: Any, metadata: Any) -> dict[str, Any]:
    """Return the arguments as a dict; OptionError for one of a wrong type."""
    for what, text in (("project", project), ("name", name)):
        if text is not None and not (isinstance(text, str) and text.strip() and "\0" not in text):
            raise OptionError(f"{what} is {text!r:.80}; use a text")
    if tags is not None and (
        not isinstance(tags, list | tuple) or not all(isinstance(tag, str) and tag for tag in tags)
    ):
        raise OptionError(f'tags is {tags!r:.80}; use a list of texts like ["ablation"]')
    if config is not None and not isinstance(config, Mapping):
        raise OptionError(f"config is a {type(config).__name__}; use a dict")
    if metadata is not None and not isinstance(metadata, RunMetadata):
        raise OptionError(f"metadata is a {type(metadata).__name__}; use cusp.RunMetadata(...)")
    given_tags = None if tags is None else [str(tag) for tag in tags]
    return {"project": project, "name": name, "tags": given_tags, "config": config}


def checked_roles(roles: Roles | None, functions: Iterable[str] = ()) -> dict[str, list[str]]:
    """Return the keys of each role; the name of one of the reward `functions` stands for its key.

    OptionError or RoleError for an unknown role or a key given for two of them.
    """
    known = set(functions)
    if roles is None:
        return {}
    if not isinstance(roles, Mapping):
        raise OptionError(
            f"roles is a {type(roles).__name__}; use a dict like"
            ' {"format": ["soft_format_reward_func"]}'
        )
    told = {
        _name(role): [_key(key, known) for key in _list(role, keys)] for role, keys in roles.items()
    }
    check_roles(told)
    return told


def _list(role: str, keys: Any) -> Sequence[str]:
    if isinstance(keys, str):
        return [keys]
    if isinstance(keys, Mapping) or not isinstance(keys, Iterable):
        raise OptionError(
            f"roles[{role!r}] is {keys!r:.80}; use the names of its reward functions or logged keys"
        )
    if len(found := list(keys)) > MOST_KEYS:
        raise OptionError(f"roles[{role!r}] has {len(found)} keys; a role has at most {MOST_KEYS}")
    return found


def _key(name: Any, functions: set[str]) -> str:
    name = _name(name)
    return f"rewards/{name}" if name in functions else name


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value or len(value) > MAX_NAME_LENGTH or "\0" in value:
        raise OptionError(
            f"roles holds {value!r:.80}; names are texts of 1 to {MAX_NAME_LENGTH} characters"
        )
    return value


def _either(words: Sequence[str]) -> str:
    return ", ".join(repr(word) for word in words[:-1]) + f" or {words[-1]!r}"
