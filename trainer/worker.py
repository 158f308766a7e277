"""The worker: owns this box's accelerator, claims jobs one after another and brings back what they gave.

    CUSP_URL=http://monitor:8787 CUSP_TOKEN=... python -m trainer.worker

`evaluate` jobs score a run's checkpoints (`jobs/evaluate.py`), `train` jobs resume a training
(`jobs/train.py`), `verify` jobs compare the newest checkpoint with earlier ones (`jobs/verify.py`),
`export` jobs write one into a folder to serve (`jobs/export.py`).
"""

import argparse
import dataclasses
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cusp import settings
from cusp.errors import CuspError, print_error
from cusp.process import excepthook, parent
from cusp.process.machine import host_name
from cusp.protocol.fields import first_problem
from trainer.jobs.client import Heartbeat, Job, JobLost, MonitorClient, MonitorRefused
from trainer.jobs.evaluate import evaluate_run
from trainer.jobs.export import export_checkpoint
from trainer.jobs.run_folder import has_folder
from trainer.jobs.sweep import Sweep
from trainer.jobs.train import resume_training
from trainer.jobs.verify import verify_run
from trainer.train import silence_libraries

KINDS = ("evaluate", "train", "verify", "export")
Say = Callable[[str], None]


class NotHere(CuspError, ValueError):
    """The run of a claimed job has no folder on this box; the message names it."""


@dataclasses.dataclass
class Worker:
    """Claims and runs jobs until `stopping` is set."""

    monitor: MonitorClient
    directory: Path
    stopping: threading.Event
    say: Say
    name: str
    _left: set[str] = dataclasses.field(default_factory=set)  # jobs already logged as another box's

    def work(self, *, once: bool = False, exit_when_idle: bool = False, poll_s: float = 1.0) -> int:
        """Run jobs one after another; return the number of ended ones."""
        ended = 0
        while not self.stopping.is_set():
            job = self._claimed()
            if job is not None:
                ended += self.do(job)
                if once:
                    break
            elif exit_when_idle:
                break
            else:
                self.stopping.wait(poll_s)
        return ended

    def _claimed(self) -> Job | None:
        """Claim a job of a run whose folder is on this box, or None; other jobs are left to other boxes."""
        waiting = [one for one in self.monitor.waiting() if one[1] in KINDS]
        here = {run for _, _, run in waiting if has_folder(self.directory, run)}
        for job, _, run in waiting:
            if run not in here and job not in self._left:
                self._left.add(job)
                self.say(
                    f"job {job} waits: run {run} is not in {self.directory / 'runs'};"
                    " start a worker on the box that trained it, or set CUSP_DIR"
                )
        kinds = {kind for _, kind, run in waiting if run in here}  # an older monitor knows not all
        return self.monitor.claim(self.name, sorted(kinds), sorted(here)) if here else None

    def do(self, job: Job) -> bool:
        """Run one job; return whether it was ended here (a lost one is dropped)."""
        self.say(f"job {job.id}: {job.kind} run {job.run_id}")
        try:
            with Heartbeat(self.monitor, job, self.stopping) as heartbeat:
                result, error = self._result(job, heartbeat)
            self.monitor.finish(job, result, error)
        except (JobLost, MonitorRefused) as reason:
            self.say(f"job {job.id} dropped: {reason}")
            return False
        self.say(f"job {job.id} {'failed: ' + error if error else 'done'}")
        return True

    def _result(self, job: Job, heartbeat: Heartbeat) -> tuple[dict[str, Any] | None, str | None]:
        """Return (result, None), or (None, error sentence) when the job fails."""
        try:
            return self._done(job, heartbeat), None
        except ValidationError as error:
            return None, f"the job cannot be read: {first_problem(error)}"
        except CuspError as error:
            return None, f"{error}"[:2_000]
        except (ValueError, OSError, RuntimeError, LookupError, TypeError, AttributeError) as error:
            self.say(traceback.format_exc().rstrip())  # a bug of ours, or of a library
            return None, f"{excepthook.sentence(error)} (the worker's log has the traceback)"

    def _done(self, job: Job, heartbeat: Heartbeat) -> dict[str, Any]:
        if not has_folder(self.directory, job.run_id):  # a path below, and named by the network
            raise NotHere(f"run {job.run_id!r:.80} is not in {self.directory / 'runs'} on this box")
        if job.kind == "train":
            return resume_training(self.directory, job, heartbeat, self.say)
        if job.kind == "verify":
            return verify_run(self.monitor, self.directory, job, heartbeat, self.say)
        if job.kind == "export":
            return export_checkpoint(self.monitor, self.directory, job, heartbeat, self.say)
        return {"comparison": evaluate_run(self.monitor, self.directory, job, heartbeat, self.say)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the worker until SIGTERM or Ctrl-C; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m trainer.worker", description=__doc__)
    parser.add_argument("--once", action="store_true", help="end after one job")
    parser.add_argument("--exit-when-idle", action="store_true", help="end when no job waits")
    parser.add_argument("--poll", type=float, default=1.0, metavar="SECONDS")
    given = parser.parse_args(arguments)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    parent.end_with_parent()
    try:
        place = settings.from_environment()
        silence_libraries()
        monitor = MonitorClient(place.url, place.token, stopping)
        name = f"{host_name() or 'box'}-{os.getpid()}"
        worker = Worker(monitor, place.directory, stopping, _print, name)
        _print(f"worker {name} asks {place.url} for jobs")
        sweep = Sweep(monitor, place.directory, stopping, _print)
        sweep.start()
        worker.work(once=given.once, exit_when_idle=given.exit_when_idle, poll_s=given.poll)
        stopping.set()
        sweep.close()
        monitor.close()
    except CuspError as error:
        return print_error(error)
    return 0


def _print(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
