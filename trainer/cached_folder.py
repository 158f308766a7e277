"""Folders in the cache that appear only when they are complete, made once by whoever comes first."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cusp.process import file_lock

WEIGHTS = "model.safetensors"


def cached_folder(folder: Path, make: Callable[[Path], None]) -> Path:
    """Return `folder`, filled by `make` in a folder beside it and renamed unless its weights are there.

    Of several processes one makes it, and the others wait.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = None
    while not _is_there(folder) and (lock := file_lock.take(folder.with_suffix(".lock"))) is None:
        time.sleep(0.2)
    try:
        if not _is_there(folder):
            work = Path(tempfile.mkdtemp(prefix=f"{folder.name[:9]}-", dir=folder.parent))
            try:
                make(work)
                _publish(work, folder)
            finally:
                shutil.rmtree(work, ignore_errors=True)
    finally:
        if lock is not None:
            lock.close()
    return folder


def _is_there(folder: Path) -> bool:
    return (folder / WEIGHTS).is_file()


def _publish(work: Path, folder: Path) -> None:
    """Rename the finished folder to its final name; another process may have been first."""
    for file in work.iterdir():
        file.chmod(0o644)
    work.chmod(0o755)
    try:
        os.rename(work, folder)
    except OSError:
        if not _is_there(folder):
            raise
