"""A mark that a long-running process touches while all is well, for the health check of its container.

Read without the process's own packages: a check that imports torch takes as long as the interval between two.
"""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from cusp.process.machine import host_name

SILENT_S = 120.0
FORGOTTEN_S = 86_400.0  # a killed process leaves its mark


class Mark:
    """The file of one process, below `workers` in the data folder; its name begins with the host's."""

    def __init__(self, directory: Path, name: str) -> None:
        self._file = directory / "workers" / name

    def touch(self) -> None:
        """Say that all is well now."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.touch()
        for mark, touched in _touched(self._file.parent, "*"):
            if time.time() - touched > FORGOTTEN_S:
                mark.unlink(missing_ok=True)

    def remove(self) -> None:
        """Say that the process ends."""
        self._file.unlink(missing_ok=True)


def is_alive(directory: Path) -> bool:
    """Return whether a process of this host touched its mark within SILENT_S."""
    marks = _touched(directory / "workers", f"{host_name() or 'box'}-*")
    newest = max((touched for _, touched in marks), default=0.0)
    return time.time() - newest < SILENT_S


def _touched(folder: Path, names: str) -> Iterator[tuple[Path, float]]:
    """Return the marks of these names, each with the time it was touched; those that go meanwhile are left out."""
    for mark in folder.glob(names):
        with contextlib.suppress(FileNotFoundError):
            yield mark, mark.stat().st_mtime
