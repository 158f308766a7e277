"""Which ranks of a training have the callback, found out without a collective.

A collective that some ranks do not take part in never ends. So each rank that has the callback leaves a
note in the store that torch.distributed was started with, and looks at the end of its first step for the
notes of all: a step ends on no rank before the gradients of all ranks were summed, and so not before each
of them began the training and left its note.
"""

import itertools
import logging
from typing import Any

import torch

from cusp.process.harmless import harmless

log = logging.getLogger("cusp")

_trainings = itertools.count(1)


def distributed() -> bool:
    """Return whether this training runs in processes that know of each other."""
    return bool(torch.distributed.is_available() and torch.distributed.is_initialized())


class Attendance:
    """Whether every rank has the callback in the training that begins when this is made."""

    def __init__(self) -> None:
        self._number = next(_trainings)  # an old note must not count in the next training
        self._complete: bool | None = None
        self._store = _store() if distributed() else None
        if self._store is not None and not _left(self._store, self._number):
            self._complete = False

    def complete(self) -> bool:
        """Return whether collectives are safe: every rank has the callback. Ask at a step's end.

        The first rank to look decides for all, so that no two of them can see it differently.
        """
        if self._complete is None:
            self._complete = False  # asked once only, also where the store cannot be asked
            self._complete = self._store is None or self._decided(self._store)
        return self._complete

    @harmless(False)
    def _decided(self, store: Any) -> bool:
        if torch.accelerator.is_available():
            torch.accelerator.synchronize()  # the processor may be ahead of the gradients' sum
        present = _present(store, self._number)
        world = torch.distributed.get_world_size()
        seen = "all" if len(present) == world else "some"
        decided = store.compare_set(f"cusp/decided/{self._number}", "", seen)
        if decided == b"all":
            return True
        if torch.distributed.get_rank() == min(present):
            log.warning(_lonely(present, world))
        return False


def _store() -> Any:
    """Return the store of the default process group, or None where it has none (MPI)."""
    try:
        return torch.distributed.distributed_c10d._get_default_store()
    except (AttributeError, RuntimeError, ValueError):
        return None


@harmless(False)
def _left(store: Any, number: int) -> bool:
    """Leave this rank's note; return whether that worked."""
    store.set(_note(torch.distributed.get_rank()), str(number))
    return True


def _present(store: Any, number: int) -> list[int]:
    """Return the ranks that left a note for this training. `check` does not wait, `get` would."""
    ranks = range(torch.distributed.get_world_size())
    return [
        rank
        for rank in ranks
        if store.check([_note(rank)]) and store.get(_note(rank)) == str(number).encode()
    ]


def _note(rank: int) -> str:
    return f"cusp/attached/{rank}"


def _lonely(present: list[int], world: int) -> str:
    having = ", ".join(str(rank) for rank in present[:8]) + (", ..." if len(present) > 8 else "")
    what = (
        "it watches and keeps checkpoints, but it cannot stop the training, because the other processes"
        " would wait for ever"
        if 0 in present
        else "it does nothing: process 0 alone speaks with the monitor"
    )
    return (
        f"Cusp is attached in {len(present)} of {world} processes (rank {having}), so {what}. Attach it in"
        " every process (cusp.watch(trainer) without `if rank == 0`)."
    )
