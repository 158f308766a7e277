"""Coordination of the processes of one training: common run id, rank, exit."""

import atexit
import functools
import os
import signal
import sys

from cusp.errors import CuspError


class AskedToEnd(CuspError):
    """The training was terminated early; the message says how to resume it."""

    status = 128 + signal.SIGTERM


def agreed(run_id: str) -> str:
    """Return rank 0's run id on every rank."""
    if alone():
        return run_id
    import torch
    from accelerate import PartialState  # type: ignore[import-untyped]
    from accelerate.utils import broadcast_object_list  # type: ignore[import-untyped]

    PartialState(cpu=not torch.cuda.is_available())
    return str(broadcast_object_list([run_id])[0])


@functools.cache  # torch sorts what is registered, and cannot sort two of one priority
def restorable_on_cpu() -> None:
    """Let `torch.load` put tensors on `cpu:0`, where transformers restores an optimizer on several processes.

    torch 2.13 knows only `cpu` and raises "don't know how to restore data location" for one with a number.
    """
    import torch

    torch.serialization.register_package(
        0, lambda _: None, lambda storage, place: storage if place.startswith("cpu:") else None
    )


def exit_process(status: int) -> int:
    """Return the exit status; in a distributed training, end the process at once instead (`os._exit`).

    A Gloo thread may release its last tensor late, and needs the interpreter for that. If that is shutting
    down, the thread aborts the process ("terminate called without an active exception": the launcher then
    kills the others); destroying the process group instead can deadlock with that thread. Both were seen
    here (PyTorch #179291, #190489).
    """
    if alone():
        return status
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def is_first() -> bool:
    """Return whether this is rank 0, which prints and records."""
    return rank() == 0


def rank() -> int:
    """Return the number of this process among those of this training."""
    return int(os.environ.get("RANK", "0"))


def is_first_here() -> bool:
    """Return whether this is the first process of the training on this box."""
    return int(os.environ.get("LOCAL_RANK", "0")) == 0


def alone() -> bool:
    """Return whether this training has one process."""
    return how_many() == 1


def how_many() -> int:
    """Return the number of processes of this training."""
    return int(os.environ.get("WORLD_SIZE", "1"))
