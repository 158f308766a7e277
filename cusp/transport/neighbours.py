"""Telling the monitor about a run that no process trains now, from one that is trained beside it.

Two runs may save into one folder. The later one knows that a checkpoint of the other was saved over; what
it says goes into the other's own spool, so that it reaches the monitor under that run and is not lost
while the monitor is away.
"""

import time
from pathlib import Path

from cusp.checkpoints import lineage, location, paths
from cusp.checkpoints.manifest import Manifest
from cusp.ids import is_id
from cusp.process import file_lock
from cusp.transport.spool import Spool

WAIT_S = 15.0  # for who ships that spool just now: as long as a request may take


def told(directory: Path, lost: Manifest, path: Path) -> Path | None:
    """Say in the spool of another run's last attempt that its checkpoint is not at `path` any more.

    Returns the attempt's folder, to be shipped. None when the run is not of this box, has its root
    elsewhere, or when a live process has it (which finds out by itself).
    """
    home = directory / "runs" / str(lost.run_id)
    attempts = home / "attempts"
    if not is_id(str(lost.run_id)) or not attempts.is_dir():
        return None
    roots = paths.roots(home)
    if not any(path.is_relative_to(root) for root in roots):
        return None
    message = location.message(roots, *location.instead(roots, str(lost.run_id), lost, path))
    last = lineage.newest(home)  # as the folder notes it: an id is of a clock that may be wrong
    newest = attempts / last if last else None
    if newest is None or not (newest / "start.json").is_file():
        return None
    until = time.monotonic() + WAIT_S
    while not file_lock.is_locked(home / "lock"):
        lock = file_lock.take(newest / "lock")
        if lock is not None:
            spool = Spool(newest)
            try:
                return newest if spool.append(message) else None
            finally:
                spool.close()
                lock.close()
        if time.monotonic() > until:
            return None
        time.sleep(0.05)
    return None
