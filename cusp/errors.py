"""Base class of every error whose message is a sentence for a person, and how programs print it."""

import errno
import os
import sys
import traceback

DEBUG = "CUSP_DEBUG"  # set by `cusp --debug`, for this process and those it starts
NO_ROOM = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


class CuspError(Exception):
    """A request cannot be carried out: the message names the value and the way out.

    Programs print the message and exit with `status`. Every other exception is a bug of ours and keeps its
    traceback.
    """

    status = 2


class DiskFull(CuspError, OSError):
    """The disk or the quota of a file to be written is full."""


def print_error(error: CuspError) -> int:
    """Print the message on standard error, below the traceback with `--debug`; return the exit status."""
    if os.environ.get(DEBUG):
        traceback.print_exception(error)
    if sys.stderr is not None:
        print(f"cusp: {error}", file=sys.stderr, flush=True)
    return error.status


def disk_full(error: OSError) -> DiskFull | None:
    """Return a DiskFull if the error means a full disk or quota, else None."""
    if error.errno not in NO_ROOM:
        return None
    place = f" for {error.filename}" if error.filename else ""
    return DiskFull(
        f"no room is left on the disk{place} ({error.strerror});"
        " free some, or set CUSP_DIR to a larger disk"
    )
