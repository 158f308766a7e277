"""Which run and attempt a training goes on from: kept in the run's folder, and in its checkpoints.

In the folder the attempt that started last is noted, so that no clock has a say in the order. In a checkpoint
of transformers it is part of `trainer_state.json`, the state of the training itself: it is written with it,
goes where it goes, and is read only by a training that resumes, not by one that starts from the weights.
"""

import contextlib
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, NamedTuple

from cusp.ids import is_id

# In `TrainerState.stateful_callbacks`, in the form that it has for callbacks. No callback has this name.
STATE = "CuspRun"


class Lineage(NamedTuple):
    """The run and the attempt that a checkpoint was saved by."""

    run_id: str
    attempt_id: str


def recorded(states: Any) -> Lineage | None:
    """Return what a training's state says, or None; what is no id there is left alone.

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
    """Put it into a training's state, to be saved with every checkpoint from now on."""
    states[STATE] = {"args": {}, "attributes": lineage._asdict()}


_NEWEST = "newest"  # holds the id of the attempt that started last


def newest(home: Path) -> str | None:
    """Return the id of the attempt that started last in a run's folder, or None.

    A folder of an older version has no note of it: there it is the one with the greatest id.
    """
    with contextlib.suppress(OSError, UnicodeDecodeError):
        noted = (home / _NEWEST).read_text().strip()
        if is_id(noted):
            return noted
    attempts = home / "attempts"
    names = [path.name for path in attempts.iterdir()] if attempts.is_dir() else []
    return max((name for name in names if is_id(name)), default=None)


def note(home: Path, attempt_id: str) -> None:
    """Note the attempt that starts now; the caller holds the run's lock."""
    part = home / f".{_NEWEST}"
    part.write_text(attempt_id)
    part.replace(home / _NEWEST)
