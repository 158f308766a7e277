"""Finds out without a collective whether all ranks of a training have the callback.

A collective that some ranks do not join blocks for ever. So each rank with the callback writes a key to the
store that torch.distributed was started with, and looks for all keys at the end of its first step: no rank
ends a step before the gradients of all ranks were reduced, so each has begun the training and written its
key by then.
"""

import itertools
import logging
from typing import Any

import torch

from cusp.process.harmless import harmless

log = logging.getLogger("cusp")

_trainings = itertools.count(1)


def distributed() -> bool:
    """Return whether torch.distributed is initialised with more than one process."""
    return bool(torch.distributed.is_available() and torch.distributed.is_initialized())


class Attendance:
    """Attendance of the callback on all ranks, for the training that begins at construction."""

    def __init__(self) -> None:
        self._number = next(_trainings)  # a key of an earlier training must not count
        self._complete: bool | None = None
        self._store = _store() if distributed() else None
        if self._store is not None and not _left(self._store, self._number):
            self._complete = False

    def complete(self) -> bool:
        """Return whether every rank has the callback, so that collectives are safe. Call at a step's end.

        The first rank to look decides for all, so that no two ranks disagree.
        """
        if self._complete is None:
            self._complete = False  # asked once only, even if the store fails
            self._complete = self._store is None or self._decided(self._store)
        return self._complete

    @harmless(False)
    def _decided(self, store: Any) -> bool:
        if torch.accelerator.is_available():
            torch.accelerator.synchronize()  # the CPU may be ahead of the gradients' reduction
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
    """Return the store of the default process group, or None if it has none (MPI)."""
    try:
        return torch.distributed.distributed_c10d._get_default_store()
    except (AttributeError, RuntimeError, ValueError):
        return None


@harmless(False)
def _left(store: Any, number: int) -> bool:
    """Write this rank's key; return whether that worked."""
    store.set(_note(torch.distributed.get_rank()), str(number))
    return True


def _present(store: Any, number: int) -> list[int]:
    """Return the ranks that wrote a key for this training. `check` does not block, `get` would."""
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
