"""Tells the monitor that this worker is there and which recipes it can train, so that people can choose."""

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path

from cusp.process.alive import Mark
from trainer import launch
from trainer.box import box_name
from trainer.jobs.client import JobLost, MonitorClient, MonitorRefused
from trainer.recipe_loader import recipe_names

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
        self._mark = Mark(directory, name)
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
        self._mark.remove()

    def _speak(self) -> None:
        try:
            while not self._stopping.is_set():
                self._monitor.present(self._words)
                self._mark.touch()
                self._stopping.wait(EVERY_S)
        except (
            MonitorRefused,
            JobLost,
            OSError,
        ) as error:  # an older monitor, or a token without `control`
            self._say(f"no training can be submitted to this worker: {error}")
