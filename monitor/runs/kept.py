"""Selects a run's kept checkpoint, for REST, the page and the command line."""

from collections.abc import Mapping, Sequence
from typing import Any

from monitor.runs.looks import PINS

_ALIAS = "pre-transition"
_ENDED_BADLY = ("refused", "expired")


def kept(
    commands: Sequence[Any], checkpoints: Sequence[Any], aliases: Mapping[str, str]
) -> Any | None:
    """Return the row of the checkpoint that was kept last, or None.

    It is the checkpoint of the last command to keep one, by the policy or a person; without one that of the
    alias `pre-transition`; without that the latest pinned one, as a stop without a checkpoint pins it.
    Missing checkpoints are skipped, and what is only held for a verification. `commands` are ordered by age,
    `checkpoints` by step and age.
    """
    there = [row for row in checkpoints if row.state in ("present", "pinned")]
    by_step = {row.step: row for row in there}
    for command in reversed(commands):
        if command.author == PINS:
            continue
        if command.kind in ("keep", "stop") and command.state not in _ENDED_BADLY:
            for step in reversed(command.steps):
                if step in by_step:
                    return by_step[step]
    named = [row for row in there if row.id == aliases.get(_ALIAS)]
    held = _held(commands)
    pinned = [row for row in there if row.pinned and row.step not in held]
    return (named or pinned or [None])[-1]


def _held(commands: Sequence[Any]) -> set[int]:
    """Return the steps that verifications hold; none once a stop was done, which may have pinned one of them."""
    if any(row.kind == "stop" and row.state == "done" for row in commands):
        return set()
    return {
        step for row in commands if row.author == PINS and row.kind == "keep" for step in row.steps
    }
