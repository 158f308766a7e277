"""Lineage: the run and attempt that a training resumes, kept in the run's folder and in its checkpoints.

The folder notes the attempt that started last, so that the order does not depend on clocks. A checkpoint
of transformers holds it in `trainer_state.json`: it is copied with the state and read only by a training
that resumes, not by one that starts from the weights.
"""

import contextlib
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, NamedTuple

from cusp.ids import is_id

# In `TrainerState.stateful_callbacks`, in the form that it has for callbacks. No callback has this name.
STATE = "CuspRun"
_NEWEST = "newest"  # holds the id of the attempt that started last


class Lineage(NamedTuple):
    """The run and the attempt that a checkpoint was saved by."""

    run_id: str
    attempt_id: str


def recorded(states: Any) -> Lineage | None:
    """Return the lineage in a trainer state, or None if it has none or holds no valid ids.

    >>> states = {}
    >>> record(states, Lineage("01ARZ3NDEKTSV4RRFFQ69G5FAV", "01ARZ3NDEKTSV4RRFFQ69G5FAW"))
    >>> recorded(states).run_id, recorded({"CuspRun": "x"})
    ('01ARZ3NDEKTSV4RRFFQ69G5FAV', None)
    """
    try:
        said = states[STATE]["attributes"]
        found = Lineage(str(said["run_id"]), str(said["attempt_id"]))
    except (KeyError, TypeError, IndexError):
        return None
    return found if is_id(found.run_id) and is_id(found.attempt_id) else None


def record(states: MutableMapping[str, Any], lineage: Lineage) -> None:
    """Add the lineage to a trainer state, which is saved with every checkpoint from now on."""
    states[STATE] = {"args": {}, "attributes": lineage._asdict()}


def newest(home: Path) -> str | None:
    """Return the id of the attempt that started last in a run's folder, or None.

    Older versions wrote no such note: then it is the attempt with the greatest id.
    """
    with contextlib.suppress(OSError, UnicodeDecodeError):
        noted = (home / _NEWEST).read_text().strip()
        if is_id(noted):
            return noted
    attempts = home / "attempts"
    names = [path.name for path in attempts.iterdir()] if attempts.is_dir() else []
    return max((name for name in names if is_id(name)), default=None)


def note(home: Path, attempt_id: str) -> None:
    """Record the attempt that starts now; the caller holds the run's lock."""
    part = home / f".{_NEWEST}"
    part.write_text(attempt_id)
    part.replace(home / _NEWEST)
