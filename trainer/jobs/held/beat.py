"""Keeps a job: renews its lease from a thread, brings its progress and its log, hears that it was cancelled."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from trainer.jobs.client import Job, JobCancelled, JobLost, MonitorClient, MonitorRefused
from trainer.jobs.held.last_lines import LastLines

log = logging.getLogger("cusp")
Say = Callable[[str], None]
LOOK_EVERY_S = 2.0  # progress and log go to the monitor when they changed
BEAT_EVERY_S = 4.0  # or not: so long until a cancellation is heard


class Heartbeat:
    """Renews a job's lease from its own thread while the job runs.

    `report` sets the progress and raises JobLost once the job is known to be lost, JobCancelled once a person
    asked that it ends.
    """

    def __init__(self, monitor: MonitorClient, job: Job, stopping: threading.Event) -> None:
        self._monitor, self._job, self._stopping = monitor, job, stopping
        self._progress: Mapping[str, Any] | None = None
        self._ended = threading.Event()
        self._lost = threading.Event()
        self._cancelled_by: str | None = None
        self.lines = LastLines()
        self._thread = threading.Thread(target=self._beat, name="cusp-heartbeat", daemon=True)

    def report(self, done: int, total: int, text: str) -> None:
        self._progress = {"done": done, "total": total, "text": text}
        self.check()

    def check(self) -> None:
        """Raise JobLost once the job is known to be lost, or the worker is stopping; JobCancelled as `report`."""
        if self._lost.is_set() or self._stopping.is_set():
            raise JobLost("the job was lost" if self._lost.is_set() else "the worker is stopping")
        if self._cancelled_by is not None:
            raise JobCancelled(f"cancelled by {self._cancelled_by}")

    def logged(self, say: Say) -> Say:
        """Return what says a line and adds it to the job's log."""

        def both(line: str) -> None:
            self.lines.add(line)
            say(line)

        return both

    @property
    def leaving(self) -> bool:
        """Whether the worker is stopping while it still has the job."""
        return self._stopping.is_set() and not self._lost.is_set()

    def __enter__(self) -> "Heartbeat":
        logging.getLogger().addHandler(self.lines)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger().removeHandler(self.lines)
        self._ended.set()
        self._thread.join(timeout=5.0)

    def _beat(self) -> None:
        interval_s = max(0.05, min(self._job.lease_s / 3, LOOK_EVERY_S))
        told: Mapping[str, Any] | None = None
        logged = 0
        last = time.monotonic()
        failed = False
        while not self._ended.wait(interval_s):
            news = self._progress is not told or self.lines.total != logged
            if not news and time.monotonic() - last < min(self._job.lease_s / 3, BEAT_EVERY_S):
                continue
            told, lines, last = self._progress, self.lines.told(), time.monotonic()
            try:
                by = self._monitor.heartbeat(
                    self._job, told, lines if self.lines.total != logged else None
                )
            except (JobLost, MonitorRefused):
                self._lost.set()
                return
            except Exception as error:  # without beats the job would be another worker's, too
                if not failed:
                    log.warning("a heartbeat of job %s failed: %r", self._job.id, error)
                failed = True
                continue
            failed = False
            logged = lines["total"] if lines else 0
            self._cancelled_by = by or self._cancelled_by
