"""Launches a training on this box with torchrun: one process for each visible GPU."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence

from cusp.errors import CuspError
from cusp.process import interpreter, parent

MODULE = "trainer.train"
GRACE_S = 10.0
STEP_S = 600  # grace period after SIGTERM for the step in flight and its checkpoint
_VISIBLE = "CUDA_VISIBLE_DEVICES"


class TooFewGpus(CuspError, RuntimeError):
    """More processes were requested than this box has GPUs."""


def visible_gpus() -> int:
    """Return the number of GPUs that this process may use."""
    import torch

    return int(torch.cuda.device_count())


def command(processes: int) -> list[str]:
    """Return the command that starts a training on `processes` processes, to be followed by its arguments."""
    if processes == 1:
        return interpreter.module(MODULE)
    run = interpreter.module(
        "torch.distributed.run", "--standalone", f"--shutdown-timeout={STEP_S}"
    )
    return [*run, f"--nproc-per-node={processes}", "-m", MODULE]


def environment(processes: int, gpus: int) -> dict[str, str]:
    """Return the environment variables that give each process exactly one GPU.

    A process that sees several would split the batch itself (`nn.DataParallel`), which GRPO does not
    support.

    >>> environment(1, 1)
    {}
    """
    if gpus <= processes:
        return {}
    seen = os.environ.get(_VISIBLE, "").split(",") if os.environ.get(_VISIBLE) else []
    chosen = seen[:processes] or [str(number) for number in range(processes)]
    return {_VISIBLE: ",".join(chosen)}


def start_message(processes: int, gpus: int) -> str:
    """Return the line printed before the start.

    >>> start_message(2, 2)
    'training on 2 processes, one for each visible GPU (--processes changes it)'
    """
    if processes == gpus:
        return (
            f"training on {processes} processes, one for each visible GPU (--processes changes it)"
        )
    where = f"of {gpus} visible GPUs" if gpus else "without a GPU"
    return f"training on {processes} process{'es' if processes > 1 else ''} {where}"


def launched_already() -> bool:
    """Return whether a launcher (torchrun, accelerate) started this process as one of several."""
    return "WORLD_SIZE" in os.environ


def run(
    arguments: Sequence[str], processes: int, gpus: int, settings: Mapping[str, str] | None = None
) -> int:
    """Train on `processes` processes until they end; return the exit status. `settings` join their environment.

    SIGTERM is forwarded, and the processes end with this one, however it ends.
    """
    more = {
        **parent.bound_to_this_process(),
        **environment(processes, gpus),
        **(settings or {}),
    }
    child = subprocess.Popen([*command(processes), *arguments], env=interpreter.environment(more))
    asked: list[int] = []

    def pass_on(number: int, _frame: object) -> None:
        asked.append(number)
        child.terminate()

    before = signal.signal(signal.SIGTERM, pass_on)
    try:
        status = _status(child.wait())
        return 128 + signal.SIGTERM if asked else status  # torchrun reports another status
    except KeyboardInterrupt:  # the terminal sent it to the processes, too
        return _ended(child)
    finally:
        signal.signal(signal.SIGTERM, before)
        if child.poll() is None:
            child.kill()


def _ended(child: "subprocess.Popen[bytes]") -> int:
    try:
        child.wait(GRACE_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        child.kill()
        child.wait()
    return 128 + signal.SIGINT


def _status(returned: int) -> int:
    return 128 - returned if returned < 0 else returned
