"""One thread class for what is done again and again: early when woken, quiet while the database is away."""

import threading
import time
from collections.abc import Callable

import pytest
from sqlalchemy.exc import OperationalError

from monitor.background.periodic import PeriodicThread


def thread_of(
    work: Callable[[], object], every_s: float, wake: threading.Event | None = None
) -> PeriodicThread:
    return PeriodicThread("cusp-test", work, every_s, without="nothing is done", wake=wake)


def test_a_database_that_is_away_is_told_of_once_and_the_work_goes_on_after_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    turns: list[int] = []
    done = threading.Event()

    def work() -> None:
        turns.append(len(turns))
        if len(turns) in (2, 3, 4, 6):
            raise OperationalError("SELECT 1", {}, OSError("gone"))
        if len(turns) >= 7:
            done.set()

    thread = thread_of(work, 0.01)
    with caplog.at_level("WARNING", logger="cusp"):
        thread.start()
        assert done.wait(10)
        thread.close()
    told = [one for one in caplog.messages if "so nothing is done" in one]
    assert len(told) == 2, "once each time that it goes away"


def test_a_fault_of_ours_is_logged_once_with_its_traceback_and_the_thread_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    turns: list[int] = []
    done = threading.Event()

    def work() -> None:
        turns.append(len(turns))
        if len(turns) <= 3:
            raise LookupError("a row that cannot be")
        done.set()

    thread = thread_of(work, 0.01)
    with caplog.at_level("ERROR", logger="cusp"):
        thread.start()
        assert done.wait(10)
        thread.close()
    (told,) = caplog.records
    assert told.message == "cusp-test failed and goes on; please report this"
    assert told.exc_text is not None
    assert "LookupError: a row that cannot be" in told.exc_text


def test_it_works_early_when_woken_and_ends_without_another_turn() -> None:
    turn, wake = threading.Event(), threading.Event()
    thread = thread_of(turn.set, 600.0, wake)
    thread.start()
    assert not turn.wait(0.05)
    wake.set()
    assert turn.wait(10)
    turn.clear()
    started = time.monotonic()
    thread.close()
    assert time.monotonic() - started < 5
    assert not turn.is_set()
