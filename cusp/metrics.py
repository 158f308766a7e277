"""Canonical metric names: maps the dialects of the trainers.

TRL 0.15 logs `completion_length` and `rewards/<function>`, TRL 1.x `completions/mean_length` and
`rewards/<function>/mean`, Unsloth follows either, verl and OpenRLHF have names of their own, trackio
and W&B add `train/`. Unknown names stay as they are.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

CANONICAL = (
    "format_reward",
    "accuracy_reward",
    "completion_length",
    "clipped_ratio",
    "reward",
    "reward_std",
    "kl",
    "entropy",
    "loss",
    "grad_norm",
    "learning_rate",
    "logp_difference",
    "format_given_terminated",
    "verifier_failures",
    "step_time_s",
    "tokens",
)

_ALIASES = {
    # TRL 1.x
    "completions/mean_length": "completion_length",
    "completions/clipped_ratio": "clipped_ratio",
    "num_tokens": "tokens",
    "step_time": "step_time_s",
    "sampling/sampling_logp_difference/mean": "logp_difference",
    # verl
    "response_length_non_aborted/mean": "completion_length",
    "response_length/mean": "completion_length",
    "response_length/clip_ratio": "clipped_ratio",
    "critic/rewards/mean": "reward",
    "reward/overall": "reward",  # EasyR1
    "actor/entropy": "entropy",
    "actor/entropy_loss": "entropy",
    "actor/kl_loss": "kl",
    "actor/grad_norm": "grad_norm",
    "actor/lr": "learning_rate",
    "actor/pg_loss": "loss",
    "timing_s/step": "step_time_s",
    # OpenRLHF
    "response_length": "completion_length",
    "actor_lr": "learning_rate",
    "policy_loss": "loss",
    "truncated": "clipped_ratio",
}

_PLACES = {name: place for place, name in enumerate(_ALIASES)}
_MEAN_OF = re.compile(r"(?P<function>rewards/[^/]+?)/mean$")
_SPACED = re.compile(r"\s*/\s*")  # heads of notebook tables: `rewards / format_reward / mean`

# Takes precedence over the canonical key itself: Unsloth logs the longest completion of the batch as
# `completion_length`, so TRL's mean goes first.
_BEFORE_CANONICAL = ("completions/mean_length",)


@lru_cache(maxsize=4096)
def canonical_name(name: str) -> str:
    """Return the canonical name of a logged key, or the key itself without its `train/` prefix.

    A reward function keeps its own name; `cusp.roles.assign` gives it a role.

    >>> canonical_name("completions/mean_length"), canonical_name("train/completion_length")
    ('completion_length', 'completion_length')
    >>> canonical_name("rewards / format_reward / mean"), canonical_name("my/metric")
    ('rewards/format_reward', 'my/metric')
    """
    name = _SPACED.sub("/", name.strip()).removeprefix("train/")
    if found := _ALIASES.get(name):
        return found
    mean = _MEAN_OF.match(name)
    return mean["function"] if mean else name


def canonical(metrics: Mapping[str, object]) -> dict[str, object]:
    """Return the metrics under canonical names; docs/reference/roles.md has the precedence of keys.

    >>> canonical({"completions/mean_length": 80.0, "kl": None})
    {'completion_length': 80.0, 'kl': None}
    >>> canonical({"completion_length": 400.0, "completions/mean_length": 80.0})
    {'completion_length': 80.0}
    """
    named: dict[str, object] = {}
    given = sorted(((str(name), value) for name, value in metrics.items()), key=_by_precedence)
    for name, value in given:
        ours = canonical_name(name)
        if ours not in named or (_number(named[ours]) is None and _number(value) is not None):
            named[ours] = value
    return named


def _by_precedence(item: tuple[str, object]) -> int:
    return precedence(item[0])


def precedence(name: str) -> int:
    """Return the rank of a key among those of the same canonical name; the lowest wins.

    >>> sorted(["response_length", "completion_length", "completions/mean_length"], key=precedence)
    ['completions/mean_length', 'completion_length', 'response_length']
    """
    name = _SPACED.sub("/", name.strip()).removeprefix("train/")
    if name in _BEFORE_CANONICAL:
        return 0
    if name in CANONICAL:
        return 1
    return 2 + _PLACES.get(name, len(_PLACES))


def finite_only(metrics: Mapping[str, object]) -> tuple[dict[str, float], int]:
    """Return the finite numbers in `metrics` and the count of non-finite ones.

    None, NaN and infinities mean "not measured": they are left out and counted. Text is ignored.

    >>> finite_only({"reward": 0.5, "kl": float("nan"), "note": "x", "entropy": None})
    ({'reward': 0.5}, 2)
    """
    numbers: dict[str, float] = {}
    skipped = 0
    for name, value in metrics.items():
        if isinstance(value, str | bytes | bool | list | tuple | dict):
            continue
        number = _number(value)
        if number is None:
            skipped += 1
        else:
            numbers[name] = number
    return numbers, skipped


def _number(value: object) -> float | None:
    try:
        number = float(value)  # type: ignore[arg-type]
    except Exception:  # a user's object may raise anything, which must not end the training
        return None
    return number if number - number == 0.0 else None
