"""The worker's look at the kept checkpoints on its box, beside its jobs.

Every few seconds it asks which checkpoints an alias was pointed at without anybody having hashed them,
and every hour it hashes all of this box that an alias points at or that are pinned. A whole one is given a
place of its own; what was changed, saved over or deleted is told.
"""

import threading
from collections.abc import Callable
from pathlib import Path

from cusp.checkpoints import manifest
from trainer.jobs.client import JobLost, MonitorClient, MonitorRefused
from trainer.jobs.run_folder import has_folder, look_at

ASK_EVERY_S = 5.0
ALL_EVERY_S = 3600.0
Say = Callable[[str], None]


class Sweep:
    """A thread that looks until `stopping` is set; `say` is told what was found amiss."""

    def __init__(
        self, monitor: MonitorClient, directory: Path, stopping: threading.Event, say: Say
    ) -> None:
        self._monitor, self._directory, self._stopping = monitor, directory, stopping
        self._say = say
        self._done: set[str] = set()  # asked for and answered, should the monitor not have taken it
        self._thread = threading.Thread(target=self._run, name="cusp-sweep", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """Wait briefly for the look that goes on; `stopping` has been set."""
        self._thread.join(2.0)

    def asked_for(self) -> None:
        """Look at the checkpoints that an alias was pointed at lately."""
        for one in self._monitor.unverified():
            if one["id"] not in self._done and has_folder(self._directory, one["run_id"]):
                self._done.add(one["id"])
                self._look(one["run_id"], one)

    def all_of_this_box(self) -> None:
        """Look at every checkpoint of this box that an alias points at or that is pinned."""
        self._done.clear()
        for home in sorted((self._directory / "runs").glob("*")):
            if self._stopping.is_set() or not has_folder(self._directory, home.name):
                continue
            try:
                known = self._monitor.checkpoints(home.name)
            except (MonitorRefused, JobLost):
                continue  # it does not know the run
            for one in known:
                kept = one["aliases"] or one["pinned"]
                if kept and one["state"] in ("present", "pinned"):
                    self._look(home.name, one)

    def _look(self, run_id: str, registered: dict[str, object]) -> None:
        try:
            found = look_at(self._directory, run_id, registered, self._monitor)
        except (OSError, manifest.CheckpointError) as error:
            self._say(f"the checkpoint of step {registered['step']} cannot be looked at: {error}")
            return
        if found is not None and found.place is None:
            self._say(f"run {run_id}: {found.words}")

    def _run(self) -> None:
        waited_s = ALL_EVERY_S
        while not self._stopping.is_set():
            try:
                if waited_s >= ALL_EVERY_S:
                    waited_s = 0.0
                    self.all_of_this_box()
                self.asked_for()
            except (MonitorRefused, JobLost) as error:
                self._say(f"the kept checkpoints are not looked at: {error}")
                return
            waited_s += ASK_EVERY_S
            self._stopping.wait(ASK_EVERY_S)
