"""Rules that derive a role from the name of a logged key, as listed in docs/reference/roles.md.

A key is split into words (`XMLCount_rewardFunc` is xml, count, reward, func), so that `format` is found in
`soft_format_reward_func` and not in `information`. Reward functions (`rewards/NAME`) may have any name, so
their rules are broad; of other keys only clear names match (`accuracy`, `format_failure_rate`; not
`num_answer_tokens`).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from cusp.metrics import CANONICAL, canonical_name

SERIES = {
    "format": "format_reward",
    "accuracy": "accuracy_reward",
    "length": "completion_length",
    "clipped": "clipped_ratio",
    "reward": "reward",
    "reward_std": "reward_std",
    "entropy": "entropy",
    "kl": "kl",
    "loss": "loss",
    "grad_norm": "grad_norm",
    "logp_difference": "logp_difference",
}
"""The canonical series of each role."""

ROLES = tuple(SERIES)


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_BY_SERIES = {series: role for role, series in SERIES.items()}
_FUNCTIONS = frozenset({"reward", "rewards", "reward_func", "reward_funcs", "reward_components"})
_APART = _set("eval evals evaluation val valid validation test testing dev heldout")
_NO_SPACE = _set(
    "profiling profile timing timings time perf performance system gradients parameters memory cusp"
)
_MEAN = frozenset({"mean", "avg", "average"})
_SPREAD = _set(
    "std stdev stddev var variance sem min max median sum p5 p10 p25 p50 p75 p90 p95 p99"
)
# Counts and costs of a format or an answer do not measure whether it is right.
_OTHER = _set(
    "len length lengths long overlong token tokens word words char chars time times speed latency loss"
    " repetition repetitive repeat ngram diversity similarity entropy kl grad lr memory"
)
_NOT_RIGHT = _set(
    "language lang relevance relevancy faithfulness helpfulness quality style confidence hint"
)
_BAD = _set(
    "fail fails failed failing failure failures error errors invalid violation violations violated wrong"
    " incorrect incorrectness inaccuracy inaccurate malformed misformatted unformatted unparsable"
    " unparseable missing missed broken bad"
)
_RATES = _set("rate rates ratio share fraction frac pct percent percentage prob")
_JOINERS = frozenset({"and", "plus"})
_TAGS = frozenset({"tag", "tags", "tagged", "tagcount", "tagscount"})
_LOOKS = _set(
    "think thinks thinking json yaml html markdown schema template boxed parse parsed parsable parseable"
    " parsing syntax malformed unparsable unparseable works compiles executes executable runnable"
)
_RIGHT = _set(
    "acc accuracy accurate correct correctly correctness incorrect incorrectness inaccuracy"
    " inaccurate"
)
_SOLVES = _set(
    "answer answers gsm8k equation countdown outcome groundtruth mc mcq solve solves solved"
)
_ENTROPIES = _set("entropy policy actor mean avg average train token")
_LENGTHS = _set("length lengths len tokens")
_COMPLETIONS = _set(
    "completion completions response responses generation generations output outputs"
)
_NOT_MEAN = _SPREAD | _set(
    "prompt terminated clip clipped ratio total count limit budget per sec second throughput speed loss"
    " num cost price rate penalty reward input group"
)
_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z0-9]+|[A-Z0-9]+")


_REWARDLIKE = _set("reward rewards score scores return returns advantage advantages")


@dataclass(frozen=True)
class NameRole:
    """The role that a name implies or None, why, and whether a high value is bad (a failure rate)."""

    role: str | None
    why: str = ""
    bad: bool = False


def words_of(name: str) -> list[str]:
    """Return the words of a name in lower case.

    >>> words_of("XMLCount_rewardFunc"), words_of("gsm8k-answer.v2")
    (['xml', 'count', 'reward', 'func'], ['gsm8k', 'answer', 'v2'])
    """
    return [word.lower() for word in _WORD.findall(name)]


def function_of(key: str) -> str | None:
    """Return the name of the reward function whose mean the key is, None for any other key.

    >>> function_of("rewards/format_reward/mean"), function_of("train/reward/format")
    ('format_reward', 'format')
    >>> function_of("rewards/format_reward/std"), function_of("completion_length")
    (None, None)
    """
    space, _, rest = canonical_name(key).partition("/")
    parts = rest.split("/")
    if len(parts) > 1 and parts[-1].lower() in _MEAN:
        parts.pop()
    if space.lower() not in _FUNCTIONS or not rest or is_apart(key):
        return None
    return "/".join(parts)


def is_apart(key: str) -> bool:
    """Return whether the key is not a training mean: evaluation, spread, extreme, profiling time, a sum of ours.

    >>> [is_apart(key) for key in ("eval_rewards/format/mean", "reward_std", "rewards/x/std", "val/acc")]
    [True, True, True, True]
    >>> is_apart("rewards/eval_equation"), is_apart("format_reward_avg")
    (False, False)
    """
    name = canonical_name(key)
    parts = [words_of(part) for part in name.split("/")]
    first = parts[0][0] if parts[0] else ""
    if first in _APART and not (len(parts) == 1 and len(parts[0]) == 1):
        return True
    if any(_NO_SPACE & set(words) for words in parts[:-1]):
        return True
    if any(_APART & set(words) for words in parts[1:-1]):
        return True
    return bool(parts[-1]) and parts[-1][-1] in _SPREAD


@lru_cache(maxsize=4096)
def looks_like_reward(key: str) -> bool:
    """Return whether a training's key is named like a reward, in a role or not.

    >>> [looks_like_reward(key) for key in ("my_score", "critic/returns/mean", "eval_score", "rewards/x/std", "loss")]
    [True, True, False, False, False]
    """
    return not is_apart(key) and bool(_REWARDLIKE & set(words_of(key)))


def role_by_name(key: str) -> NameRole:
    """Return the role that a key's name implies.

    >>> role_by_name("rewards/soft_format_reward_func").role, role_by_name("rewards/check_answer/mean").role
    ('format', 'accuracy')
    >>> role_by_name("format_failure_rate").bad, role_by_name("rewards/int_reward_func").role
    (True, None)
    """
    name = canonical_name(key)
    if name in _BY_SERIES:
        return NameRole(_BY_SERIES[name], f"the name of the {_BY_SERIES[name]} series")
    if name in CANONICAL or is_apart(key):
        return NameRole(None)
    function = function_of(key)
    words = words_of(name if function is None else function)
    if function is None and (measure := _measure(set(words))):
        return measure
    if words and words[-1] in _MEAN:
        words.pop()
    judged = _of_function(words) if function is not None else _of_key(words)
    failing = bool(_BAD & set(words)) and (function is None or bool(_RATES & set(words)))
    return NameRole(judged.role, judged.why, failing and judged.role is not None)


def _measure(words: set[str]) -> NameRole | None:
    """Return the role of a key for mean completion length or entropy, under any trainer's name, or None."""
    if words <= _ENTROPIES and "entropy" in words:
        return NameRole("entropy", "`entropy` in its name")
    if words & _LENGTHS and words & _COMPLETIONS and not words & _NOT_MEAN:
        return NameRole("length", "the length of completions")
    return None


def _of_function(words: list[str]) -> NameRole:
    """Return the role of a reward function by the first rule that matches."""
    if _OTHER & set(words):
        return NameRole(None)
    if mixed := _mixed(words):
        return mixed
    form, right = _first(words, _is_form), _first(words, _RIGHT.__contains__)
    if form and not (right and "answer" in words and not form.endswith("format")):
        return NameRole("format", f"`{form}` in its name")
    if right and not _NOT_RIGHT & set(words):
        return NameRole("accuracy", f"`{right}` in its name")
    sure = _first(words, lambda word: word.startswith(("verif", "succe")))
    looks, solves = _first(words, _is_looks), _solves(words)
    if looks and not sure:
        return NameRole("format", f"`{looks}` in its name")
    if (sure or solves) and not _NOT_RIGHT & set(words):
        return NameRole("accuracy", f"`{sure or solves}` in its name")
    return NameRole(None)


def _of_key(words: list[str]) -> NameRole:
    """Return the role of a key that is not a reward function; only a clear name matches."""
    clear = {word for word in words if word in _RIGHT or _is_form(word) or word == "malformed"}
    said = {"exact", "match"} <= set(words) or ("answer" in words and bool(_BAD & set(words)))
    if not (clear or said):
        return NameRole(None)
    return _of_function(words)


def _mixed(words: list[str]) -> NameRole | None:
    """Return the mixed result for a name that joins both kinds (`format_and_answer`), or None."""
    for place, word in enumerate(words[1:-1], 1):
        left, right = words[place - 1], words[place + 1]
        if word in _JOINERS:
            kinds = {_is_form(left) - _is_right(left), _is_form(right) - _is_right(right)}
            if kinds == {1, -1}:
                return NameRole(None, "it mixes format and accuracy")
    return None


def _is_right(word: str) -> bool:
    return word in _RIGHT or word in _SOLVES


def _is_form(word: str) -> bool:
    return word.startswith(("format", "xml")) or word.endswith("format") or word in _TAGS


def _is_looks(word: str) -> bool:
    return word in _LOOKS or word.startswith("struct")


def _solves(words: list[str]) -> str | None:
    said = set(words)
    if "match" in said and said & {"exact", "gold", "gt", "truth"}:
        return "match"
    if {"check", "match", "verify"} & said and {"number", "numbers"} & said:
        return "numbers"
    if {"pass", "passed", "passes"} & said and said & {"rate", "test", "tests", "1", "k"}:
        return "pass"
    if {"multiple", "choice"} <= said:
        return "choice"
    return _first(words, lambda word: word in _SOLVES or word.startswith("math"))


def _first(words: list[str], test: Callable[[str], bool]) -> str | None:
    return next((word for word in words if test(word)), None)
