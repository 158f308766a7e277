"""A process that was bound to its parent ends with it, however the parent ended."""

import os
import subprocess
import sys

import pytest

from cusp.process import parent as parent_process
from tests.waiting import wait_until

CHILD = """
import time
from cusp.process import parent
parent.end_with_parent()
print("up", flush=True)
time.sleep(60)
"""
BETWEEN = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
child.wait()
"""
# Starts CHILD, itself or through a process in between, says its id and waits to be killed.
PARENT = """
import os, subprocess, sys, time
from cusp.process import parent
environment = {**os.environ, **parent.bound_to_this_process()}
script, child, between = sys.argv[1:]
command = [sys.executable, "-c", *([between, child] if script == "through" else [child])]
process = subprocess.Popen(
    command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
)
said = process.stdout.readline().strip()
print(said if script == "through" else process.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("way", ["itself", "through"])
def test_a_child_ends_with_a_parent_that_was_killed(way: str) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, way, CHILD, BETWEEN], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert alive(child)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_until(lambda: not alive(child), 10, "it outlived its parent")


def test_a_process_that_nobody_bound_is_left_alone() -> None:
    parent_process.end_with_parent({})
    parent_process.end_with_parent({parent_process.VARIABLE: "no number"})
    assert parent_process.bound_to_this_process() == {parent_process.VARIABLE: str(os.getpid())}


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    with open(
        f"/proc/{process}/stat"
    ) as stat:  # an orphan that ended may wait for its init as a zombie
        return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
