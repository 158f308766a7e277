"""Ends a child process with its parent, even when the parent is killed with SIGKILL.

The parent puts its process id into the child's environment; the child reads it at start. On Linux the
kernel then ends the child at once (PR_SET_PDEATHSIG); elsewhere, and where another process lies between
the two (torchrun), a thread polls every second.
"""

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping

VARIABLE = "CUSP_PARENT"
LOOK_EVERY_S = 1.0
_PR_SET_PDEATHSIG = 1


def bound_to_this_process() -> dict[str, str]:
    """Return the variables for a child's environment that make it end with this process."""
    return {VARIABLE: str(os.getpid())}


def end_with_parent(environment: Mapping[str, str] = os.environ) -> None:
    """End this process by SIGTERM once the parent that bound it is gone; no-op for an unbound process."""
    named = environment.get(VARIABLE, "")
    if not named.isdecimal():
        return
    parent = int(named)
    if os.getppid() == parent and sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    threading.Thread(target=_watch, args=(parent,), name="cusp-parent", daemon=True).start()


def _watch(parent: int) -> None:
    while _alive(parent):
        time.sleep(LOOK_EVERY_S)
    os.kill(os.getpid(), signal.SIGTERM)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
