"""Verifications as text, for `cusp verify` and `cusp show`."""

from collections.abc import Sequence
from typing import Any

from cusp.cli.support.output import duration, percent

Record = dict[str, Any]


def state_words(verification: Record) -> str:
    """Return the state in words, with its reason.

    >>> state_words({"state": "not_worse", "state_reason": None})
    'not worse'
    """
    state = str(verification["state"]).replace("_", " ")
    reason = verification["state_reason"]
    return f"{state} ({reason})" if reason else state


def compared(verification: Record) -> list[list[str]]:
    """Return the rows of a verification's comparisons."""
    return [
        [
            str(one["step"]),
            f"{one['difference']:+.2f}",
            f"{one['low']:+.2f} to {one['high']:+.2f}",
            str(one["problems"]),
        ]
        for one in verification["comparisons"]
    ]


def summarised(verifications: Sequence[Record]) -> list[list[str]]:
    """Return the rows of `cusp show`, newest first: step, outcome, who asked, the greatest loss, the cost."""
    return [
        [
            str(one["measured_step"] if one["measured_step"] is not None else one["step"]),
            state_words(one),
            one["author"],
            _worst(one),
            f"{one['completions']} in {duration(one['seconds'])}" if one["completions"] else "–",
        ]
        for one in verifications
    ]


def _worst(verification: Record) -> str:
    found = verification["comparisons"]
    if not found:
        return "–"
    worst = min(found, key=lambda one: float(one["difference"]))
    return f"{percent(worst['difference'])} against step {worst['step']}"
