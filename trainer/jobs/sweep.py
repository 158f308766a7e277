"""Background verification of the kept checkpoints on a worker's box.

Every few seconds it asks for checkpoints with an alias that nobody has verified, and every hour it hashes
all checkpoints of this box that have an alias or are pinned. Intact ones are pinned; changed, overwritten
and deleted ones are reported.
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
    """A thread that runs until `stopping` is set; `say` is called with each problem."""

    def __init__(
        self, monitor: MonitorClient, directory: Path, stopping: threading.Event, say: Say
    ) -> None:
        self._monitor, self._directory, self._stopping = monitor, directory, stopping
        self._say = say
        self._done: set[str] = set()  # already reported, in case the monitor did not store it
        self._thread = threading.Thread(target=self._run, name="cusp-sweep", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """Wait briefly for the thread; the caller has set `stopping`."""
        self._thread.join(2.0)

    def asked_for(self) -> None:
        """Verify the checkpoints that got an alias lately."""
        for one in self._monitor.unverified():
            if one["id"] not in self._done and has_folder(self._directory, one["run_id"]):
                self._done.add(one["id"])
                self._look(one["run_id"], one)

    def all_of_this_box(self) -> None:
        """Verify every checkpoint of this box that has an alias or is pinned."""
        self._done.clear()
        for home in sorted((self._directory / "runs").glob("*")):
            if self._stopping.is_set() or not has_folder(self._directory, home.name):
                continue
            try:
                known = self._monitor.checkpoints(home.name)
            except (MonitorRefused, JobLost):
                continue  # the monitor does not know the run
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
