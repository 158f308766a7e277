"""Locks between real processes, with and without a file system that can lock."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from cusp.process import file_lock
from tests.waiting import wait_until

HOLD = """
import sys
from pathlib import Path
from cusp.process import file_lock
held = file_lock.take(Path(sys.argv[1]))
print("held" if held else "not held", flush=True)
sys.stdin.read()
"""
NO_FLOCK = """
import errno, fcntl, os
def flock(descriptor, operation):
    raise OSError(errno.{name}, os.strerror(errno.{name}))
fcntl.flock = flock
"""
NO_FCNTL = "import sys; sys.modules['fcntl'] = None\n"
KINDS = ["", "ENOSYS", "ENOLCK", "no fcntl"]


def machine(folder: Path, kind: str) -> dict[str, str]:
    """Return the environment of a process on a machine whose locks are of this kind."""
    site = folder / "site"
    site.mkdir(exist_ok=True)
    lines = NO_FCNTL if kind == "no fcntl" else NO_FLOCK.format(name=kind) if kind else ""
    (site / "sitecustomize.py").write_text(lines)
    return {**os.environ, "PYTHONPATH": str(site), "PYTHONWARNINGS": "error"}


def holder(path: Path, environment: Mapping[str, str]) -> tuple["subprocess.Popen[str]", str]:
    """Start a process that takes the lock; return it and what it says."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


@pytest.mark.parametrize("kind", KINDS)
def test_of_two_processes_one_has_it_and_a_killed_one_leaves_none(
    tmp_path: Path, kind: str
) -> None:
    environment = machine(tmp_path, kind)
    path = tmp_path / "lock"
    first, said = holder(path, environment)
    assert said == "held"
    second, said = holder(path, environment)
    assert said == "not held"
    _, noise = second.communicate()
    first.send_signal(signal.SIGKILL)
    first.communicate()
    third, said = holder(path, environment)
    assert said == "held"
    _, noise = third.communicate()
    assert noise.count("\n") == (1 if kind else 0), noise  # said once, and no warning of a library
    assert ("goes on without file locks" in noise) == bool(kind)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_locked_is_seen_and_looking_takes_nothing(tmp_path: Path, kind: str) -> None:
    look = (
        "import sys; from pathlib import Path; from cusp.process import file_lock;"
        "print(file_lock.is_locked(Path(sys.argv[1])))"
    )
    environment = machine(tmp_path, kind)
    path = tmp_path / "lock"

    def seen() -> str:
        command = [sys.executable, "-c", look, str(path)]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True
        ).stdout.strip()

    assert seen() == "False"
    process, _ = holder(path, environment)
    assert seen() == "True"
    assert file_lock.owner(path) == str(process.pid)
    process.communicate()
    assert seen() == "False"


def test_a_mark_of_another_box_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.with_name("lock.process").write_text("17\nanother-box\n")
    process, said = holder(path, machine(tmp_path, "ENOLCK"))
    process.communicate()
    assert said == "held"


def test_a_lock_is_held_until_it_is_closed_although_nobody_refers_to_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert file_lock.take(path) is not None
    assert file_lock.is_locked(path)
    process, said = holder(path, machine(tmp_path, ""))
    process.communicate()
    assert said == "not held"
    for lock in list(file_lock._held):
        lock.close()
    assert not file_lock.is_locked(path)


def test_a_child_that_was_forked_does_not_hold_it(tmp_path: Path) -> None:
    script = (
        "import os, sys, time; from pathlib import Path; from cusp.process import file_lock\n"
        "held = file_lock.take(Path(sys.argv[1]))\n"
        "if os.fork() == 0:\n    time.sleep(20)\n    os._exit(0)\n"
        "os._exit(0)\n"
    )
    path = tmp_path / "lock"
    subprocess.run([sys.executable, "-c", script, str(path)], check=True)
    # The child lets go as soon as it runs; it sleeps for 20 s.
    wait_until(lambda: not file_lock.is_locked(path), 15)


def test_a_folder_that_cannot_be_written_is_no_live_owner(tmp_path: Path) -> None:
    assert file_lock.take(tmp_path / "missing" / "lock") is not None
