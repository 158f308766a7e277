"""Tells the monitor that this worker is there and which recipes it can train, so that people can choose."""

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path

from cusp.process.machine import host_name
from trainer import launch
from trainer.box import box_name
from trainer.jobs.client import JobLost, MonitorClient, MonitorRefused
from trainer.recipe_loader import recipe_names

SILENT_S = 120.0
EVERY_S = 30.0  # monitor/store/boxes.py takes it for gone after 120 s


class Presence:
    """Speaks at once and every EVERY_S from its own thread, until `stopping` is set."""

    def __init__(
        self,
        monitor: MonitorClient,
        directory: Path,
        name: str,
        stopping: threading.Event,
        say: Callable[[str], None],
    ) -> None:
        self._mark = _marks(directory) / name
        self._monitor, self._stopping, self._say = monitor, stopping, say
        self._words = {
            "name": name,
            "box": box_name(),
            "gpus": launch.visible_gpus(),
            "recipes": recipe_names(),
        }
        self._thread = threading.Thread(target=self._speak, name="cusp-presence", daemon=True)

    def start(self) -> None:
        """Begin to speak."""
        self._thread.start()

    def close(self) -> None:
        """Wait for the thread, which ends once `stopping` is set."""
        with contextlib.suppress(RuntimeError):  # never started
            self._thread.join(timeout=5.0)
        self._mark.unlink(missing_ok=True)

    def _speak(self) -> None:
        try:
            while not self._stopping.is_set():
                self._monitor.present(self._words)
                self._mark.parent.mkdir(parents=True, exist_ok=True)
                self._mark.touch()
                self._stopping.wait(EVERY_S)
        except (
            MonitorRefused,
            JobLost,
            OSError,
        ) as error:  # an older monitor, or a token without `control`
            self._say(f"no training can be submitted to this worker: {error}")


def is_present(directory: Path) -> bool:
    """Return whether a worker of this host has reached the monitor within SILENT_S; its container's health."""
    newest = [mark.stat().st_mtime for mark in _marks(directory).glob(f"{host_name() or 'box'}-*")]
    return bool(newest) and time.time() - max(newest) < SILENT_S


def _marks(directory: Path) -> Path:
    return directory / "workers"
