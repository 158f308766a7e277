"""Work that the training does not wait for: in order, waited for by what comes after it, bounded."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import cusp
from cusp.transport.deferred import MOST, Deferred


def points(run: cusp.Run) -> list[int]:
    return points_in(run.home / "attempts" / run.attempt_id)


def points_in(folder: Path) -> list[int]:
    files = sorted(folder.glob("spool-*"))
    lines = [line for file in files for line in file.read_text().splitlines()]
    return [one["step"] for one in map(json.loads, lines) if one["kind"] == "point"]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> cusp.Run:
    monkeypatch.setenv("CUSP_MODE", "offline")
    monkeypatch.setenv("CUSP_DIR", str(tmp_path))
    return cusp.init("p", "deferred")


def test_the_first_point_is_written_at_once_and_later_ones_in_order_before_what_follows(
    run: cusp.Run,
) -> None:
    wait, threads = threading.Event(), list[str]()

    def work(step: int) -> None:
        threads.append(threading.current_thread().name)
        assert step == 1 or wait.wait(10)
        run.log({"reward": step}, step)

    run.later(lambda: work(1))
    assert points(run) == [1]
    run.later(lambda: work(2))
    run.later(lambda: work(3))
    assert points(run) == [1], "the training goes on meanwhile"
    wait.set()
    run.log({"reward": 4.0}, 4)
    assert points(run) == [1, 2, 3, 4]
    assert threads == ["MainThread", "cusp-writer", "cusp-writer"]
    run.later(lambda: work(5))
    assert run.finish()
    assert points(run)[-1] == 5
    run.later(lambda: threads.append("ended"))
    assert threads[-1] == "ended"


def test_a_failure_is_logged_and_the_next_work_is_done(caplog: pytest.LogCaptureFixture) -> None:
    deferred, done = Deferred(), list[int]()

    def fails() -> None:
        raise RuntimeError("our own mistake")

    deferred.submit(fails)
    deferred.submit(lambda: done.append(1))
    deferred.close()
    assert done == [1]
    assert "Cusp failed in cusp-writer" in caplog.text


def test_the_training_waits_where_nothing_is_written() -> None:
    deferred, go_on, done = Deferred(), threading.Event(), list[int]()
    deferred.submit(lambda: done.append(int(go_on.wait(10))))
    for _ in range(MOST - 1):
        deferred.submit(lambda: done.append(1))
    assert done == []
    threading.Timer(0.2, go_on.set).start()
    deferred.submit(lambda: done.append(1))
    assert len(done) >= MOST
    deferred.close()
    assert len(done) == MOST + 1


KILLED = """
import os, signal, sys, time
import cusp
run = cusp.init("p", "killed")
def work(step):
    time.sleep(0.005)  # slower than the steps
    run.log({"reward": float(step)}, step)
for step in range(1, 101):
    run.later(lambda step=step: work(step))
print(run.home / "attempts" / run.attempt_id, flush=True)
os.kill(os.getpid(), int(sys.argv[1]))
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_training_that_is_killed_loses_two_logged_steps_at_most(
    tmp_path: Path, how: signal.Signals
) -> None:
    environment = {**os.environ, "CUSP_MODE": "offline", "CUSP_DIR": str(tmp_path)}
    command = [sys.executable, "-c", KILLED, str(int(how))]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode == -how, ended.stderr
    steps = points_in(Path(ended.stdout.strip()))
    assert steps == list(range(1, len(steps) + 1))
    assert len(steps) >= 98
