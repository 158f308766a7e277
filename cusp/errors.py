"""The base of every error that is a sentence for a person, and how programs tell one."""

import errno
import os
import sys
import traceback

DEBUG = "CUSP_DEBUG"  # set by `cusp --debug`, for this process and those it starts
NO_ROOM = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


class CuspError(Exception):
    """What a person asked for cannot be done: the message names the value and the way out.

    Programs print its message and exit with its `status`. Every other exception is a fault of ours and
    keeps its traceback.
    """

    status = 2


class DiskFull(CuspError, OSError):
    """There is no room left where something had to be written."""


def told(error: CuspError) -> int:
    """Print the sentence on standard error, below the traceback if asked for; return the exit status."""
    if os.environ.get(DEBUG):
        traceback.print_exception(error)
    if sys.stderr is not None:
        print(f"cusp: {error}", file=sys.stderr, flush=True)
    return error.status


def disk_full(error: OSError) -> DiskFull | None:
    """Return the sentence for a full disk or quota, whoever wrote; None for any other fault."""
    if error.errno not in NO_ROOM:
        return None
    place = f" for {error.filename}" if error.filename else ""
    return DiskFull(
        f"no room is left on the disk{place} ({error.strerror});"
        " free some, or set CUSP_DIR to a larger disk"
    )
