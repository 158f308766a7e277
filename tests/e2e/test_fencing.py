"""Two real workers and one job: the one that was paused past its lease cannot write.

On PostgreSQL in the suite, on both databases with CUSP_TEST_SLOW=1 (`make soak`): it takes a quarter of a
minute each.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cusp.cli.app import app
from cusp.ids import new_id
from monitor.settings import MonitorConfig
from monitor.store import jobs
from monitor.store.scores import evaluations
from tests.serving import Served, serving
from tests.small import SMALL
from trainer.recipe_loader import load_recipe
from trainer.train import train

DATABASES = ["sqlite", "postgresql"] if os.environ.get("CUSP_TEST_SLOW") else ["postgresql"]
pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # of TRL, transformers and torch, not ours
    pytest.mark.parametrize("database_url", DATABASES, indirect=True),
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A Cusp folder with a finished training in it that no monitor has heard of, and its run id."""
    folder, run_id = tmp_path_factory.mktemp("box"), new_id()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUSP_DIR", str(folder))
        patch.setenv("CUSP_MODE", "offline")
        recipe = load_recipe("tiny", [*SMALL])
        train(recipe, folder / "runs" / run_id, run_id=run_id, progress=lambda _: None)
    return folder, run_id


class Box:
    """A copy of the folder, a monitor, and two workers."""

    def __init__(self, folder: Path, run_id: str, served: Served) -> None:
        self.folder, self.run_id, self.served = folder, run_id, served
        self.workers: dict[int, subprocess.Popen[bytes]] = {}

    def start_worker(self, name: str) -> None:
        environment = {**os.environ, "CUSP_URL": self.served.url, "CUSP_DIR": str(self.folder)}
        with (self.folder / f"{name}.log").open("wb") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", "trainer.worker", "--poll", "0.1"],
                env={**environment, "HF_HUB_OFFLINE": "1"},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.workers[worker.pid] = worker

    def job(self) -> Any:
        with self.served.service.database.read() as tx:
            return jobs.of_run(tx, self.run_id)[0]

    def holder(self) -> int:
        return int(self.job().worker.rpartition("-")[2])

    def scores(self) -> list[tuple[int, str]]:
        with self.served.service.database.read() as tx:
            return sorted((row.step, row.split) for row in evaluations.of_run(tx, self.run_id))

    def logs(self) -> str:
        return "\n".join(log.read_text() for log in self.folder.glob("*.log"))

    def wait(self, true: Callable[[], bool], seconds: float = 120.0) -> None:
        until = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < until, self.logs()
            time.sleep(0.002)

    def end(self) -> None:
        for worker in self.workers.values():
            worker.kill()
            worker.wait()


@pytest.fixture
def box(
    trained: tuple[Path, str], database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Box]:
    folder = Path(shutil.copytree(trained[0], tmp_path / "box"))
    with serving(MonitorConfig(database_url)) as served:
        monkeypatch.setenv("CUSP_URL", served.url)
        monkeypatch.setenv("CUSP_DIR", str(folder))
        box = Box(folder, trained[1], served)
        for name in ("one", "other"):
            box.start_worker(name)
        yield box
        box.end()


def test_a_worker_that_was_paused_past_its_lease_cannot_write_and_the_others_result_stands(
    box: Box,
) -> None:
    result = CliRunner().invoke(app, ["sync"])  # the run ends at the monitor: a job is queued
    assert result.exit_code == 0, result.output
    box.wait(lambda: box.job().state == "leased")
    paused = box.holder()
    os.kill(paused, signal.SIGSTOP)
    assert box.job().state == "leased", "the test was too slow to pause it"
    box.served.ahead_s = 61.0
    box.wait(lambda: box.job().state == "done")
    ended = box.job()
    assert (ended.token, ended.attempts) == (2, 2)
    assert box.holder() != paused
    scores = box.scores()
    assert scores == [(step, split) for step in (0, 2, 4) for split in ("report", "selection")]

    os.kill(paused, signal.SIGCONT)
    box.wait(lambda: f"job {ended.id} dropped" in box.logs())
    assert box.workers[paused].poll() is None, "it goes on with the next job"
    assert box.job() == ended
    assert box.scores() == scores
