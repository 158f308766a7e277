"""A train job gives the box back once every process of its training has ended, not only the launcher."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cusp.ids import new_id
from cusp.process import file_lock, interpreter
from tests.waiting import wait_until
from trainer import launch
from trainer.box import SETTING, Box
from trainer.jobs import training_process
from trainer.jobs.client import JobLost
from trainer.jobs.held.last_lines import LastLines
from trainer.jobs.run_folder import lock_of

LAUNCHER = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as torchrun, which waits for its processes
subprocess.Popen([sys.executable, "-c", sys.argv[1], sys.argv[2]])
time.sleep(60)
"""
RANK = """
import sys, time
from pathlib import Path
from cusp.process import file_lock
lock = file_lock.take(Path(sys.argv[1]))
time.sleep(4)  # saves after the step in flight
"""


def test_the_box_of_a_lost_job_is_free_once_all_processes_of_its_training_have_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = new_id()
    lock = lock_of(tmp_path, run_id)
    lock.parent.mkdir(parents=True)
    begin = [*interpreter.module("x")[:-2], "-c", LAUNCHER, RANK, str(lock)]
    monkeypatch.setattr(launch, "command", lambda _: begin)
    monkeypatch.setattr(training_process, "GRACE_S", 0.2)
    monkeypatch.setenv(SETTING, "always")

    def check() -> None:
        wait_until(lambda: file_lock.is_locked(lock), 20)
        raise JobLost("the job was lost")

    heartbeat: Any = SimpleNamespace(
        report=lambda *_: None, check=check, leaving=False, lines=LastLines()
    )
    job: Any = SimpleNamespace(id="1", run_id=run_id, attempt=1)
    with pytest.raises(JobLost):
        training_process.trained(tmp_path, job, 2, [], heartbeat, lambda _: None)
    assert not file_lock.is_locked(lock)
    assert Box(tmp_path, has_gpu=False).holder() is None
