"""A real client, a network that fails in every way we know, a real monitor: nothing lost, nothing doubled.

The judge is `tests/soak/checker.py`: plain SQL against the notes the trainer kept.
"""

import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cusp.cli.demo.processes import free_port
from tests.conftest import MonitorProcess
from tests.faults.proxy import FAULTS, Proxy
from tests.soak.checker import Noted, check_acknowledged, check_effective, check_points, read_notes

SEED = int(os.environ.get("CUSP_TEST_SEED", "1"))


@pytest.fixture
def monitor(tmp_path: Path, database_url: str) -> Iterator[MonitorProcess]:
    """A monitor process on each database."""
    url = database_url if "://" in database_url else None
    monitor = MonitorProcess(tmp_path, free_port(0), database_url=url)
    monitor.start()
    yield monitor
    monitor.kill()


def database_of(monitor: MonitorProcess) -> str:
    return monitor.database_url or str(monitor.folder / "cusp.db")


class Training:
    """A light training in a process of its own, which talks to `url`."""

    def __init__(self, folder: Path, url: str, name: str, *options: str) -> None:
        self.folder, self.notes = folder / name, folder / f"{name}.notes"
        self.folder.mkdir()
        self.log = folder / f"{name}.log"
        command = [sys.executable, "-m", "tests.soak.light_trainer", str(self.notes)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "--timeout", "0.5", "--retry", "0.05", *options],
                env={**os.environ, "CUSP_URL": url, "CUSP_DIR": str(self.folder)},
                stdout=log,
                stderr=log,
            )

    def wait(self) -> Noted:
        """Wait for its end and return what it noted."""
        assert self.process.wait(120) == 0, self.log.read_text()[-3000:]
        (noted,) = read_notes(self.notes)
        return noted

    @property
    def spool(self) -> Path:
        (folder,) = self.folder.glob("runs/*/attempts/*")
        return folder


def judged(database: str, noted: Noted, spool: Path) -> dict[str, int]:
    """Return what was counted, after making sure that nothing is wrong."""
    found = check_points(database, [noted])
    found.wrong += check_acknowledged(database, spool).wrong
    found.wrong += check_effective(database, noted.run_id, [noted]).wrong
    assert found.wrong == []
    return dict(found.counts)


@pytest.mark.timeout(120)
def test_every_network_fault_costs_no_point_and_no_time_in_the_training(
    monitor: MonitorProcess, tmp_path: Path
) -> None:
    calm = Training(tmp_path, monitor.url, "calm", "--steps", "300").wait()
    proxy = Proxy(monitor.port)
    names = sorted(FAULTS)
    random.Random(SEED).shuffle(names)
    proxy.spoil(name for fault in names for name in (fault, None))
    enough = tmp_path / "enough"
    more = ("--interval", "0.02", "--steps", "5000", "--until", str(enough))
    training = Training(tmp_path, proxy.url, "spoiled", *more)
    while proxy.waiting and training.process.poll() is None:
        time.sleep(0.05)
    enough.touch()
    stormy = training.wait()
    proxy.close()
    assert proxy.met == dict.fromkeys(FAULTS, 1), "each fault happened, once"
    counts = judged(database_of(monitor), stormy, training.spool)
    assert counts["logged"] == counts["stored"] == len(stormy.took)
    before, during = (1e3 * statistics.quantiles(one.took, n=100)[98] for one in (calm, stormy))
    slowest = 1e3 * max(stormy.took)
    print(
        f"{len(names)} faults (seed {SEED}): {counts}; log() p99 {before:.2f} -> {during:.2f} ms,"
    )
    print(f"slowest {slowest:.1f} ms")
    assert during < max(2.0, 4 * before), "the training waited for the network"
    assert slowest < 400, "the training waited for the network"


def test_a_network_that_fails_every_second_time_is_as_fast_as_what_gets_through(
    monitor_process: MonitorProcess, tmp_path: Path
) -> None:
    monitor_process.start()
    proxy = Proxy(monitor_process.port)
    proxy.spoil(["reset_before"] * 2 + [None, "lost_answer"] * 12)
    begun = time.monotonic()
    noted = Training(tmp_path, proxy.url, "flaky", "--steps", "3000", "--interval", "0").wait()
    took_s = time.monotonic() - begun
    proxy.close()
    assert noted.drained
    assert took_s < 20, "it waited ever longer although something got through each time"


def test_a_refusal_by_something_on_the_way_costs_no_message(
    monitor_process: MonitorProcess, tmp_path: Path
) -> None:
    monitor_process.start()
    proxy = Proxy(monitor_process.port)
    proxy.spoil([None, None, *["wrong_400", "wrong_400", None] * 5])
    training = Training(tmp_path, proxy.url, "refused", "--steps", "60", "--interval", "0.02")
    noted = training.wait()
    proxy.close()
    assert proxy.met["wrong_400"] == 10
    judged(database_of(monitor_process), noted, training.spool)


def test_a_network_that_answers_nothing_leaves_everything_on_disk_for_later(
    monitor_process: MonitorProcess, tmp_path: Path
) -> None:
    monitor_process.start()
    proxy = Proxy(monitor_process.port)
    proxy.spoil(["half_open_after_commit"] * 200)
    training = Training(tmp_path, proxy.url, "later", "--drain", "1", "--steps", "300")
    noted = training.wait()
    proxy.close()
    environment = {**os.environ, "CUSP_URL": monitor_process.url, "CUSP_DIR": str(training.folder)}
    sync = [sys.executable, "-m", "cusp", "sync"]
    assert subprocess.run(sync, env=environment, timeout=60, check=False).returncode == 0
    judged(database_of(monitor_process), noted, training.spool)
