"""Reports for another run of the same folder that no process trains now.

Two runs may save into one folder, and the later one sees that it saved over a checkpoint of the other. It
writes that message to the other run's spool, so that it reaches the monitor under that run and survives an
outage.
"""

import time
from pathlib import Path

from cusp.checkpoints import lineage, location, paths
from cusp.checkpoints.manifest import Manifest
from cusp.ids import is_id
from cusp.process import file_lock
from cusp.transport.spool import Spool

WAIT_S = 15.0  # for the process that is shipping that spool: longer than one request's timeout


def report_lost(directory: Path, lost: Manifest, path: Path) -> Path | None:
    """Append to the spool of another run's last attempt that its checkpoint is no longer at `path`.

    Returns the attempt's folder, to be shipped. None when the run is not of this box, has its root
    elsewhere, or is trained by a live process (which notices by itself).
    """
    home = directory / "runs" / str(lost.run_id)
    attempts = home / "attempts"
    if not is_id(str(lost.run_id)) or not attempts.is_dir():
        return None
    roots = paths.roots(home)
    if not any(path.is_relative_to(root) for root in roots):
        return None
    message = location.message(roots, *location.other_copy(roots, str(lost.run_id), lost, path))
    last = lineage.newest(home)  # the folder's own note, not the greatest id: clocks may be wrong
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
