"""Ids sort in the order in which they were made: within a millisecond, across threads, after a fork."""

import os
import subprocess
import sys
import threading
import time

import pytest

from cusp import ids
from cusp.ids import new_id


def test_ids_of_one_millisecond_sort_in_the_order_of_making() -> None:
    made = [new_id() for _ in range(5_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_ids_of_several_threads_are_one_order() -> None:
    made: list[str] = []
    guard = threading.Lock()

    def make() -> None:
        for _ in range(500):
            with guard:
                made.append(new_id())

    threads = [threading.Thread(target=make, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == sorted(made)
    assert len(set(made)) == 2_000


def test_a_clock_that_steps_back_does_not_turn_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    before = new_id()
    now_ms = time.time_ns() // 1_000_000
    monkeypatch.setattr(ids, "_now_ms", lambda: now_ms - 600_000)
    assert before < new_id() < new_id()


FORKING = """
import os, sys
from cusp.ids import new_id
before = [new_id() for _ in range(1000)]
reader, writer = os.pipe()
if os.fork() == 0:
    os.write(writer, "\\n".join(new_id() for _ in range(300)).encode())
    os._exit(0)
own = [new_id() for _ in range(300)]
os.wait()
os.close(writer)
theirs = os.fdopen(reader).read().split()
assert len(theirs) == 300
assert not set(own) & set(theirs), "parent and child made the same ids"
assert theirs == sorted(theirs) and min(theirs) > max(before)
"""


def test_parent_and_child_go_on_with_ids_of_their_own() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKING], capture_output=True, text=True, timeout=60, env=os.environ
    )
    assert done.returncode == 0, done.stderr
