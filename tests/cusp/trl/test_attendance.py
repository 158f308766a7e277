"""The note of a rank that cannot be left or read makes it an observer, never one that waits alone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from cusp.trl.attendance import Attendance


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Any]:
    """A process group of this process alone, on a store that a test looks into."""
    store = getattr(torch.distributed, "HashStore")()  # noqa: B009  # torch does not say that it exports it
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield store
    torch.distributed.destroy_process_group()


def test_a_process_without_a_group_is_complete() -> None:
    assert Attendance().complete()


def test_a_group_of_one_is_complete_in_every_training(store: Any) -> None:
    assert [Attendance().complete() for _ in range(3)] == [True, True, True]


def test_a_note_of_an_earlier_training_does_not_count(store: Any) -> None:
    attendance = Attendance()
    (Attendance(),)  # the note now says that this rank is in a later training
    assert not attendance.complete()


@pytest.mark.parametrize("broken", ["set", "check", "compare_set"])
def test_a_store_that_fails_is_asked_once_and_no_collective_follows(
    store: Any,
    monkeypatch: pytest.MonkeyPatch,
    broken: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked = []

    class Gone:
        def __getattr__(self, name: str) -> object:
            if name == broken:
                asked.append(name)
                raise RuntimeError("the store is gone")
            return getattr(store, name)

    monkeypatch.setattr("cusp.trl.attendance._store", Gone)
    attendance = Attendance()
    assert not attendance.complete()
    assert not attendance.complete()
    assert asked == [broken]
