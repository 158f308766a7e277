"""File locks that die with their process, so that `kill -9` leaves none behind."""

import fcntl
import os
from pathlib import Path


def take(path: Path) -> int | None:
    """Return a descriptor that holds the lock until it is closed, or None if another process has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())
    return descriptor


def owner(path: Path) -> str:
    """Return the process id that took the lock last, as text."""
    return path.read_text().strip() or "unknown"


def is_locked(path: Path) -> bool:
    """Return whether a live process holds the lock."""
    if not path.exists():
        return False
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
