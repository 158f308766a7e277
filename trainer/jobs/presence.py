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
        self._said: dict[str, str | None] = {}
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
        while not self._stopping.is_set():
            self._complain("no training can be submitted to this worker", self._present)
            self._complain("this worker's health cannot be told", self._mark.touch)
            self._stopping.wait(EVERY_S)

    def _present(self) -> None:
        self._monitor.present(self._words)

    def _complain(self, what: str, act: Callable[[], None]) -> None:
        """Act; say an error that is another than last time's. The next turn tries again.

        An older monitor has no /workers, a token may lack `control` and a disk may be full: each may pass.
        """
        error = _error_of(act)
        if error and error != self._said.get(what):
            self._say(f"{what}: {error}")
        self._said[what] = error


def _error_of(act: Callable[[], None]) -> str | None:
    try:
        act()
    except (MonitorRefused, JobLost, OSError) as error:
        return str(error)
    return None
