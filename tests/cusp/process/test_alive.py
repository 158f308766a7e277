"""The health of a worker's container: its mark, and whether it is fresh."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cusp.process.alive import SILENT_S, Mark, is_alive
from cusp.process.machine import host_name

CHECK = """
import sys
from cusp.cli.app import app
try:
    app(["worker", "--check"])
finally:
    print(sorted({"torch", "transformers", "trainer"} & set(sys.modules)))
"""


def test_a_mark_of_this_host_counts_while_it_is_fresh(tmp_path: Path) -> None:
    assert not is_alive(tmp_path)
    Mark(tmp_path, "elsewhere-7").touch()
    assert not is_alive(tmp_path)
    mark = Mark(tmp_path, f"{host_name()}-7")
    mark.touch()
    assert is_alive(tmp_path)
    old = time.time() - SILENT_S - 1
    os.utime(tmp_path / "workers" / f"{host_name()}-7", (old, old))
    assert not is_alive(tmp_path)
    mark.touch()
    mark.remove()
    assert not is_alive(tmp_path)


def test_the_check_says_so_by_its_status_and_imports_nothing_heavy(tmp_path: Path) -> None:
    for alive in (False, True):
        if alive:
            Mark(tmp_path, f"{host_name()}-7").touch()
        done = subprocess.run(
            [sys.executable, "-c", CHECK],
            env={**os.environ, "CUSP_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (0 if alive else 1, "[]\n"), done.stderr


def test_a_mark_that_goes_meanwhile_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (7, 8):
        Mark(tmp_path, f"{host_name()}-{number}").touch()
    found = Path.glob

    def one_goes(folder: Path, names: str) -> list[Path]:
        marks = list(found(folder, names))
        marks[0].unlink()
        return marks

    monkeypatch.setattr(Path, "glob", one_goes)
    assert is_alive(tmp_path)


def test_the_marks_of_killed_processes_are_removed_after_a_day(tmp_path: Path) -> None:
    for name, age_s in (("killed-7", 86_401), ("silent-8", 86_000)):
        Mark(tmp_path, name).touch()
        os.utime(tmp_path / "workers" / name, (time.time() - age_s,) * 2)
    Mark(tmp_path, "here-9").touch()
    assert {mark.name for mark in (tmp_path / "workers").iterdir()} == {"silent-8", "here-9"}
