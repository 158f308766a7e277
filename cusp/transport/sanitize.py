"""Converts logged values to valid messages; each kind of change is logged once. Nothing here raises.

A training may log a name of 300 characters or with a tab, 600 layer norms, a tensor of many values: the rest
of the step must not be lost with them.
"""

import hashlib
import logging
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from cusp.protocol.fields import (
    MAX_METRICS,
    MAX_NAME_LENGTH,
    MAX_PATH_LENGTH,
    MAX_SKIPPED,
    MAX_TEXT_LENGTH,
    storable_text,
)
from cusp.protocol.messages import Refusal
from cusp.roles.priority import by_rank

log = logging.getLogger("cusp")

MOST_PARTS = 4  # messages of one step; the monitor's quota is some 2,000 names in a whole run
MOST_REWARDS = 64
MOST_KINDS = 50  # that are logged; bounds a monitor that invents ever new ones
_TEXTS = ("prompt", "completion", "reason")


@lru_cache(maxsize=4096)
def sendable_name(name: str) -> str:
    r"""Return the name if it is valid, else a valid name with a hash suffix. Deterministic.

    The hash keeps names apart that differ only in the replaced characters.

    >>> sendable_name("reward"), sendable_name("grad\tnorm"), sendable_name("")
    ('reward', 'grad_norm~17ca7aec', 'unnamed~da39a3ee')
    """
    if 0 < len(name) <= MAX_NAME_LENGTH and name.isprintable():
        return name
    mark = (
        "~" + hashlib.sha1(name.encode("utf-8", "replace"), usedforsecurity=False).hexdigest()[:8]
    )
    clean = "".join(letter if letter.isprintable() else "_" for letter in name) or "unnamed"
    return clean[: MAX_NAME_LENGTH - len(mark)] + mark


class Mender:
    """Builds the messages of one run, and logs each kind of change once."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def say(self, kind: str, text: str, *given: object) -> None:
        """Log a warning, the first time for this kind."""
        if kind not in self._said and len(self._said) < MOST_KINDS:
            self._said.add(kind)
            log.warning(f"{text} (said once)", *given)

    def points(
        self, step: int, metrics: Mapping[str, float], skipped: int, at: float
    ) -> list[dict[str, Any]]:
        """Return a point as one message, or as several of the same step if it has too many metrics.

        The first of them holds the metrics that the detector uses.
        """
        named = {sendable_name(name): value for name, value in metrics.items()}
        if named.keys() != metrics.keys():
            first = next(name for name in metrics if sendable_name(name) != name)
            self.say(
                "metric name",
                "Cusp logs the metric %.80r as %r: a name has 1 to %s printable characters",
                first,
                sendable_name(first),
                MAX_NAME_LENGTH,
            )
        head: dict[str, Any] = {"kind": "point", "step": step, "metrics": named, "at": at}
        if skipped:
            head["skipped"] = min(skipped, MAX_SKIPPED)
        return [head] if len(named) <= MAX_METRICS else self._split(head, named)

    def _split(self, head: dict[str, Any], metrics: dict[str, float]) -> list[dict[str, Any]]:
        names = by_rank(metrics)
        taken = names[: MOST_PARTS * MAX_METRICS]
        parts = [
            {name: metrics[name] for name in taken[start : start + MAX_METRICS]}
            for start in range(0, len(taken), MAX_METRICS)
        ]
        lacks = (
            f"; {len(names) - len(taken):,} of them are left out" if len(names) > len(taken) else ""
        )
        self.say(
            "number of metrics",
            "Cusp sends the %s metrics of step %s in %s parts of %s%s",
            len(names),
            head["step"],
            len(parts),
            MAX_METRICS,
            lacks,
        )
        rest = [{"kind": "point", "step": head["step"], "metrics": part} for part in parts[1:]]
        return [{**head, "metrics": parts[0]}, *rest]

    def not_numbers(self, metrics: Mapping[str, object], values: Mapping[str, float]) -> None:
        """Log which metrics are not numbers and were left out."""
        for name, value in metrics.items():
            if name not in values and value is not None and not _is_not_finite(value):
                self.say(
                    f"metric value of {type(value).__name__}",
                    "Cusp left out the metric %.80r: its value is a %s, and a metric is one number",
                    name,
                    type(value).__name__,
                )

    def other(self, message: Mapping[str, object]) -> dict[str, Any] | None:
        """Return a message other than a point with its texts cut and cleaned, or None if it is invalid."""
        made = dict(message)
        for field in _TEXTS:
            if isinstance(text := made.get(field), str):
                made[field] = sendable_text(text)
        rewards = made.get("rewards")
        if isinstance(rewards, dict):
            few = list(rewards.items())[:MOST_REWARDS]
            made["rewards"] = {sendable_name(str(name)): value for name, value in few}
        path = made.get("path")
        if isinstance(path, str) and (len(path) > MAX_PATH_LENGTH or storable_text(path) != path):
            self.say(
                "checkpoint path",
                "Cusp cannot register the checkpoint of step %s: its path below the run's root has %s"
                " characters or unreadable ones, and the monitor takes %s; save it under a shorter name",
                made.get("step"),
                len(path),
                MAX_PATH_LENGTH,
            )
            return None
        return made

    def refused(self, refusals: Iterable[Refusal]) -> None:
        """Log the parts that the monitor refused."""
        for one in refusals:
            self.say(f"refused: {one.kind}", "The monitor left out: %.300s", one.reason)


def sendable_text(text: str) -> str:
    """Return the text cleaned for storage and cut to the monitor's limit."""
    clean = storable_text(text)
    return clean if len(clean) <= MAX_TEXT_LENGTH else clean[: MAX_TEXT_LENGTH - 1] + "…"


def sendable_label(value: object, instead: str) -> str:
    """Return a value as the name of a run, a project or a tag: 1 to 200 characters of any alphabet.

    >>> sendable_label(7, "default"), sendable_label("", "default")
    ('7', 'default')
    """
    try:
        text = storable_text(str(value))
    except Exception:  # a user's object may raise anything, which must not end the training
        text = ""
    text = text if len(text) <= MAX_NAME_LENGTH else text[: MAX_NAME_LENGTH - 1] + "…"
    return text or instead


def _is_not_finite(value: object) -> bool:
    """Return whether the value is None, NaN or infinite, which counts as not measured."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except OverflowError:
        return True
    except Exception:  # text, a tensor of many values, or anything else
        return False
    return number - number != 0.0
