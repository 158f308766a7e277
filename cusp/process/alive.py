"""A mark that a long-running process touches while all is well, for the health check of its container.

Read without the process's own packages: a check that imports torch takes as long as the interval between two.
"""

import time
from pathlib import Path

from cusp.process.machine import host_name

SILENT_S = 120.0


class Mark:
    """The file of one process, below `workers` in the data folder; its name begins with the host's."""

    def __init__(self, directory: Path, name: str) -> None:
        self._file = directory / "workers" / name

    def touch(self) -> None:
        """Say that all is well now."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.touch()

    def remove(self) -> None:
        """Say that the process ends."""
        self._file.unlink(missing_ok=True)


def is_alive(directory: Path) -> bool:
    """Return whether a process of this host touched its mark within SILENT_S."""
    marks = (directory / "workers").glob(f"{host_name() or 'box'}-*")
    newest = max((mark.stat().st_mtime for mark in marks), default=0.0)
    return time.time() - newest < SILENT_S
