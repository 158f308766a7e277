"""File locks that die with their process, so that `kill -9` leaves none behind.

Where the file system cannot lock (some NFS and Lustre), a file that names the process replaces the lock: it
excludes processes of this box, and a dead owner is recognised. An owner on another box cannot be checked
and is ignored. Nothing here raises: if locking fails for any reason but a live owner, the caller goes on
without a lock and a warning is logged once.
"""

import logging
import os
import warnings
from pathlib import Path

from cusp.process.machine import host_name

with warnings.catch_warnings():  # filelock warns at its import where Python has no fcntl
    warnings.simplefilter("ignore")
    from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

log = logging.getLogger("cusp")

_NAMESPACE = (
    "?pidns-"  # filelock appends this and the PID namespace's number to a container's host name
)

_said = False
_held: set["Lock"] = set()  # references that keep the garbage collector from releasing locks


class Lock:
    """A lock that is held until `close()` or the end of the process."""

    def __init__(self, held: BaseFileLock | None) -> None:
        self._lock = held
        _held.add(self)

    def close(self) -> None:
        """Release the lock; idempotent."""
        _held.discard(self)
        if self._lock is not None:
            try:
                self._lock.release()
            except OSError as error:
                log.warning("Cusp could not give back a lock: %s", error)
            self._lock = None


def take(path: Path) -> Lock | None:
    """Return the lock, or None if a live process holds it."""
    try:
        lock = _try_real(path)
    except (OSError, NotImplementedError) as error:
        return _without(path, error)
    if lock is not None:
        _note_owner(path)
    return lock


def owner(path: Path) -> str:
    """Return the id of the process that took the lock last, as text."""
    for file in (path, _stand_in(path)):
        try:
            if first := file.read_text("utf-8").split("\n", 1)[0].strip():
                return first
        except (OSError, UnicodeDecodeError):
            continue
    return "unknown"


def is_locked(path: Path) -> bool:
    """Return whether a live process holds the lock."""
    if not path.exists() and not _stand_in(path).exists():
        return False
    try:
        lock = _try_real(path)
    except (OSError, NotImplementedError):
        lock = _of_the_stand_in(path)
    if lock is None:
        return True
    lock.close()
    return False


def _try_real(path: Path) -> Lock | None:
    if issubclass(FileLock, SoftFileLock):
        raise NotImplementedError("this Python has no file locks")
    return _try(FileLock(str(path), timeout=0, thread_local=False, fallback_to_soft=False))


def _try(lock: BaseFileLock) -> Lock | None:
    try:
        lock.acquire()
    except Timeout:
        return None
    return Lock(lock)


def _without(path: Path, why: Exception) -> Lock | None:
    """Log once that locking fails, and return the stand-in lock."""
    global _said
    if not _said:
        _said = True
        log.warning(
            "Cusp goes on without file locks: %s has none (%s). Keep two boxes from training one run,"
            " or set CUSP_DIR to a local folder.",
            path.parent,
            getattr(why, "strerror", None) or why,
        )
    return _of_the_stand_in(path)


def _of_the_stand_in(path: Path) -> Lock | None:
    """Return the stand-in lock, or None if a live process of this box holds it."""
    mark = _stand_in(path)
    try:
        lock = _try(SoftFileLock(str(mark), timeout=0, thread_local=False))
    except (OSError, NotImplementedError):
        return Lock(None)
    if lock is None and not _is_of_this_box(mark):
        return Lock(None)
    return lock


def _is_of_this_box(mark: Path) -> bool:
    """Return whether a process of this box wrote the mark; filelock removes a dead owner's."""
    try:
        host = mark.read_text("utf-8").splitlines()[1]
    except (OSError, IndexError, UnicodeDecodeError):
        return False
    return host.partition(_NAMESPACE)[0] == (host_name() or "")


def _stand_in(path: Path) -> Path:
    return path.with_name(f"{path.name}.process")


def _note_owner(path: Path) -> None:
    try:
        path.write_text(str(os.getpid()))
    except OSError as error:  # the pid is only information for people
        log.debug("the owner of %s could not be noted: %s", path, error)
