"""The worker: owns this box's accelerator, claims jobs one after another and brings back what they gave.

    CUSP_URL=http://monitor:8787 CUSP_TOKEN=... python -m trainer.worker

`evaluate` jobs score a run's checkpoints (`jobs/evaluate.py`), `train` jobs begin or resume a
training (`jobs/train.py`), `verify` jobs compare the newest checkpoint with earlier ones (`jobs/verify.py`),
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
from cusp.ids import is_id
from cusp.process import excepthook, parent
from cusp.process.machine import host_name
from cusp.process.secret_files import give_to_libraries
from cusp.protocol.fields import first_problem
from trainer.box import box_name
from trainer.jobs.client import (
    Job,
    JobCancelled,
    JobLost,
    MonitorClient,
    MonitorRefused,
    Waiting,
)
from trainer.jobs.evaluate import evaluate_run
from trainer.jobs.export import export_checkpoint
from trainer.jobs.held.beat import Heartbeat
from trainer.jobs.presence import Presence
from trainer.jobs.run_folder import has_folder
from trainer.jobs.sweep import Sweep
from trainer.jobs.train import is_new, new_training, resume_training
from trainer.jobs.verify import verify_run
from trainer.recipe_loader import recipe_names
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
    _begun: set[str] = dataclasses.field(default_factory=set)  # runs that another box began
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
        """Claim a job of a run whose folder is on this box, or a new training; others are left to other boxes."""
        waiting = [one for one in self.monitor.waiting() if one.kind in KINDS]
        here = {one.run_id: one for one in waiting if self._is_ours(one)}
        for one in waiting:
            if one.run_id not in here and one.id not in self._left and one.recipe is None:
                self._left.add(one.id)
                self.say(
                    f"job {one.id} waits: run {one.run_id} is not in {self.directory / 'runs'};"
                    " start a worker on the box that trained it, or set CUSP_DIR"
                )
        kinds = {one.kind for one in here.values()}  # an older monitor knows not all
        return self.monitor.claim(self.name, sorted(kinds), sorted(here)) if here else None

    def _is_ours(self, job: Waiting) -> bool:
        """Return whether this box has the job's run, or may begin it: an announced one stays where it is."""
        if has_folder(self.directory, job.run_id):
            return True
        if job.recipe is None or job.run_id in self._begun:
            return False
        if job.box not in (None, box_name()) or job.recipe not in recipe_names():
            return False
        if job.attempts > 0 and self.monitor.is_announced(job.run_id):
            self._begun.add(job.run_id)
            return False
        return True

    def do(self, job: Job) -> bool:
        """Run one job; return whether it was ended here (a lost one is dropped)."""
        self.say(f"job {job.id}: {job.kind} run {job.run_id}")
        try:
            with Heartbeat(self.monitor, job, self.stopping) as heartbeat:
                result, error = self._result(job, heartbeat, heartbeat.logged(self.say))
            if error:
                heartbeat.lines.add(error)
            self.monitor.finish(job, result, error, heartbeat.lines.told())
        except (JobLost, MonitorRefused) as reason:
            self.say(f"job {job.id} dropped: {reason}")
            return False
        self.say(f"job {job.id} {'failed: ' + error if error else 'done'}")
        return True

    def _result(
        self, job: Job, heartbeat: Heartbeat, say: Say
    ) -> tuple[dict[str, Any] | None, str | None]:
        """Return (result, None), or (None, error sentence) when the job fails or a person cancelled it."""
        try:
            return self._done(job, heartbeat, say), None
        except JobCancelled as cancelled:
            return None, str(cancelled)
        except ValidationError as error:
            return None, f"the job cannot be read: {first_problem(error)}"
        except CuspError as error:
            return None, f"{error}"[:2_000]
        except (ValueError, OSError, RuntimeError, LookupError, TypeError, AttributeError) as error:
            say(traceback.format_exc().rstrip())  # a bug of ours, or of a library
            return None, f"{excepthook.sentence(error)} (the worker's log has the traceback)"

    def _done(self, job: Job, heartbeat: Heartbeat, say: Say) -> dict[str, Any]:
        if is_new(job) and is_id(job.run_id):
            return new_training(self.directory, job, heartbeat, say)
        if not has_folder(self.directory, job.run_id):  # a path below, and named by the network
            raise NotHere(f"run {job.run_id!r:.80} is not in {self.directory / 'runs'} on this box")
        if job.kind == "train":
            return resume_training(self.directory, job, heartbeat, say)
        if job.kind == "verify":
            return verify_run(self.monitor, self.directory, job, heartbeat, say)
        if job.kind == "export":
            return export_checkpoint(self.monitor, self.directory, job, heartbeat, say)
        return {"comparison": evaluate_run(self.monitor, self.directory, job, heartbeat, say)}


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
        give_to_libraries("HF_TOKEN")
        place = settings.from_environment()
        silence_libraries()
        monitor = MonitorClient(place.url, place.token, stopping)
        name = f"{host_name() or 'box'}-{os.getpid()}"
        worker = Worker(monitor, place.directory, stopping, _print, name)
        _print(f"worker {name} asks {place.url} for jobs")
        sweep = Sweep(monitor, place.directory, stopping, _print)
        sweep.start()
        presence = Presence(monitor, place.directory, name, stopping, _print)
        presence.start()
        worker.work(once=given.once, exit_when_idle=given.exit_when_idle, poll_s=given.poll)
        stopping.set()
        sweep.close()
        presence.close()
        monitor.close()
    except CuspError as error:
        return print_error(error)
    return 0


def _print(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
