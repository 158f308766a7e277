"""A worker that is killed in an evaluation goes on with the next row: none is lost, none is made twice."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cusp.ids import new_id
from cusp.run_config import RECIPE_FILE
from tests.trainer.test_worker import Monitor, job
from trainer.recipe import Recipe
from trainer.recipe_loader import write_recipe
from trainer.training.model import load_base

pytestmark = pytest.mark.filterwarnings("ignore")  # of transformers and peft, not ours

KILLS = 20
SLOW = (  # 220 rows, two at a time: a life makes a few of them, also on a fast machine
    "evaluation.selection_problems=100",
    "evaluation.sampling.batch_size=2",
    "evaluation.sampling.max_new_tokens=12",
)


class Lives:
    """A worker that is started again and again, and the rows that it leaves on the disk."""

    def __init__(self, url: str, directory: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.trainer.jobs.worker_lives", url, str(directory)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._rows = directory / "cache" / "evaluations"

    def start(self) -> int:
        """Return the process id of the next life."""
        assert self._process.stdin is not None
        print(file=self._process.stdin, flush=True)
        return int(self._said())

    def ended(self) -> int:
        """Return the exit status of the life, once it has ended."""
        return int(self._said())

    def lines(self) -> dict[str, list[bytes]]:
        """Return the lines of each file of rows."""
        return {each.name: each.read_bytes().split(b"\n") for each in self._rows.glob("*.jsonl")}

    def forget(self) -> None:
        """Remove the rows."""
        for each in self._rows.glob("*.jsonl"):
            each.unlink()

    def _said(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def monitor() -> Iterator[Monitor]:
    monitor = Monitor()
    yield monitor
    monitor.close()


@pytest.fixture
def lives(monitor: Monitor, tmp_path: Path) -> Iterator[Lives]:
    lives = Lives(monitor.url, tmp_path / "cusp")
    yield lives
    lives.close()


def evaluations(monitor: Monitor) -> list[dict[str, Any]]:
    """Return what was posted, and forget it."""
    found = [body["evaluation"] for body in monitor.posted("/evaluations")]
    monitor.posts.clear()
    return found


def test_killed_at_twenty_moments_an_evaluation_has_the_rows_of_an_undisturbed_one(
    monitor: Monitor, lives: Lives, small: Callable[..., Recipe], tmp_path: Path
) -> None:
    run_id, directory = new_id(), tmp_path / "cusp"
    root = directory / "runs" / run_id
    root.mkdir(parents=True)
    write_recipe(small(*SLOW), root / RECIPE_FILE)
    load_base(small(*SLOW), directory / "cache", lambda _: None)
    order = job(run_id, root, (0,))
    order["payload"]["reference_step"] = 0
    moments = random.Random(5)
    made = []
    for _ in range(KILLS):
        before = sum(len(each) - 1 for each in lives.lines().values())
        monitor.jobs = [order]
        life = lives.start()
        wanted, end = before + moments.randint(0, 3), time.monotonic() + 60
        while sum(len(each) - 1 for each in lives.lines().values()) < wanted:
            assert time.monotonic() < end
            time.sleep(0.002)
        time.sleep(moments.random() * 0.04)
        os.kill(life, signal.SIGKILL)
        assert lives.ended() == -signal.SIGKILL
        made.append(sum(len(each) - 1 for each in lives.lines().values()) - before)
    assert not evaluations(monitor)
    assert sum(count > 0 for count in made) > KILLS / 2
    monitor.jobs = [order]
    lives.start()
    assert lives.ended() == 0
    disturbed, posted = lives.lines(), evaluations(monitor)
    lives.forget()
    monitor.jobs = [order]
    lives.start()
    assert lives.ended() == 0
    undisturbed = lives.lines()
    assert sorted(len(each) - 1 for each in undisturbed.values()) == [20, 200]
    assert {name: valid(each) for name, each in disturbed.items()} == {
        name: valid(each) for name, each in undisturbed.items()
    }
    assert posted == evaluations(monitor)


def valid(lines: list[bytes]) -> list[bytes]:
    """Return the lines that are whole; a kill may leave a torn one."""
    found = []
    for line in lines:
        try:
            json.loads(line)
        except ValueError:
            continue
        found.append(line)
    return found
