"""What the processes of one training do together: agree on a run, and end."""

import atexit
import os
import signal
import sys

from cusp.errors import CuspError


class AskedToEnd(CuspError):
    """The training was asked to end before it was done; the message says how to go on."""

    status = 128 + signal.SIGTERM


def agreed(run_id: str) -> str:
    """Return the first process's run id in every process of this training."""
    if alone():
        return run_id
    import torch
    from accelerate import PartialState  # type: ignore[import-untyped]
    from accelerate.utils import broadcast_object_list  # type: ignore[import-untyped]

    PartialState(cpu=not torch.cuda.is_available())
    return str(broadcast_object_list([run_id])[0])


def exit_process(status: int) -> int:
    """Return the exit status; one process of several ends right here, with nothing left to be lost.

    A Gloo thread may let go of its last tensor late, and needs the interpreter for that. One that is
    ending makes it abort the process ("terminate called without an active exception": the launcher
    then kills the others); destroying the process group instead can wait for that thread for ever,
    holding what it waits for. Both were seen here (PyTorch #179291, #190489).
    """
    if alone():
        return status
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def is_first() -> bool:
    """Return whether this is the one process of the training that speaks."""
    return int(os.environ.get("RANK", "0")) == 0


def alone() -> bool:
    """Return whether this training is one process."""
    return how_many() == 1


def how_many() -> int:
    """Return how many processes this training is."""
    return int(os.environ.get("WORLD_SIZE", "1"))
