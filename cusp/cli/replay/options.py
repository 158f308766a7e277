"""Values of the options of `cusp replay`, read from their text."""

import math
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from cusp.errors import CuspError
from cusp.roles.assign import SERIES, RoleError, check_roles
from cusp.roles.rules import function_of

if TYPE_CHECKING:
    from monitor.detector import RewardRange


class BadOption(CuspError, ValueError):
    """An option has an invalid value; the message says what to give."""


def preset_name(name: str) -> str:
    """Return the name of a preset; BadOption for one that there is not."""
    from monitor.detector import PRESETS

    if name not in PRESETS:
        raise BadOption(f"unknown preset {name!r}; choose one of {', '.join(PRESETS)}")
    return name


def checkpoint_steps(checkpoints: str | None, save_steps: int | None) -> list[int] | None:
    if checkpoints is None:
        return None
    if save_steps is not None:
        raise BadOption("--save-steps and --checkpoints say the same twice; give one of them")
    try:
        return [int(part) for part in checkpoints.split(",") if part.strip()]
    except ValueError:
        raise BadOption(
            f"--checkpoints {checkpoints!r} is no list of steps; give it as 50,100,150"
        ) from None


def reward_range(text: str) -> "tuple[str, RewardRange]":
    """Return name and range of `NAME=LOW:HIGH` or `NAME=LOW:HIGH:graded`; a role is replaced by its series.

    >>> reward_range("accuracy=0:2")
    ('accuracy_reward', RewardRange(low=0.0, high=2.0, graded=False))
    >>> reward_range("rewards/my_tags/mean=0:2")[0]
    'my_tags'
    """
    from monitor.detector import RewardRange

    found = re.fullmatch(r"([^=]+)=([^:]+):([^:]+)(:graded)?", text)
    try:
        name, low, high, graded = found.groups() if found else ("", "", "", None)
        span = RewardRange(float(low), float(high), graded=graded is not None)
        if not -math.inf < span.low < span.high < math.inf:
            raise ValueError
    except ValueError:
        raise BadOption(
            f"--reward {text!r} is no range; give it as format_reward=0:1 or accuracy=-1:1:graded"
        ) from None
    return SERIES.get(name) or function_of(name) or name, span


def told_roles(texts: Iterable[str]) -> dict[str, list[str]]:
    """Return the roles in `ROLE=KEY[,KEY...]` options; repeated roles are merged.

    >>> told_roles(["format=rewards/a,rewards/b", "length=n_tokens", "format=c"])
    {'format': ['rewards/a', 'rewards/b', 'c'], 'length': ['n_tokens']}
    """
    told: dict[str, list[str]] = {}
    for text in texts:
        name, sign, keys = text.partition("=")
        if not sign or not name.strip():
            raise RoleError(
                f"--role {text!r} tells no role; give it as format=KEY or format=KEY,KEY"
            )
        said = [key.strip() for key in keys.split(",") if key.strip()]
        told.setdefault(name.strip(), []).extend(said)
    check_roles(told)
    return told


def reward_weight(text: str) -> tuple[str, float]:
    """Return function and weight of `FUNCTION=NUMBER`; the function's logged key is accepted, too.

    >>> reward_weight("my_tags=2"), reward_weight("rewards/my_tags/mean=2")
    (('my_tags', 2.0), ('my_tags', 2.0))
    """
    name, _, number = text.partition("=")
    try:
        weight = float(number)
    except ValueError:
        weight = math.nan
    if not name or not math.isfinite(weight):
        raise RoleError(f"--weight {text!r} is no weight; give it as soft_format_reward_func=0.5")
    return function_of(name) or name, weight
