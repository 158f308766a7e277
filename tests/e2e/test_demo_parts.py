"""The demo notices at once what happens to its parts, ends them all, and says what remains."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cusp.cli.demo import demo as demo_command
from cusp.cli.demo.processes import ChildEnded, Children
from cusp.cli.support.output import console
from tests.conftest import MonitorProcess
from tests.waiting import wait_until

NOTICED_S = 30.0


class Demo:
    """A running `cusp demo` whose base model takes long to make, so that there is time to interfere."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.said = folder / "said"
        with self.said.open("wb") as out:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "cusp", "demo", "--exit", "--dir", str(folder)),
                    *("--set", "model.sft_steps=50000", *arguments),
                ],
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def words(self) -> str:
        return self.said.read_text()

    def wait_for(self, text: str, most_s: float = 120) -> None:
        wait_until(
            lambda: text in self.words() or self.process.poll() is not None, most_s, self.words()
        )
        assert text in self.words(), self.words()

    def parts(self) -> dict[str, int]:
        """Return the process ids of its children by their subcommand."""
        found = {}
        for place in Path("/proc").glob("[0-9]*"):
            try:
                parent = (place / "stat").read_text().rpartition(")")[2].split()[1]
                words = (place / "cmdline").read_bytes().decode().split("\0")
            except OSError:
                continue
            if parent == str(self.process.pid) and "cusp" in words:
                found[words[words.index("cusp") + 1]] = int(place.name)
        found.pop("demo", None)  # a part that was forked, but has not begun yet
        return found


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Demo]:
    """A demo that is making its base model."""
    demo = Demo(tmp_path, "--port", "0")
    try:
        demo.wait_for("Dashboard: ")
        wait_until(lambda: len(demo.parts()) == 3, 60, demo.words())
        yield demo
    finally:
        demo.process.kill()
        demo.process.wait()


@pytest.mark.parametrize(
    ("subcommand", "name"), [("serve", "monitor"), ("train", "training"), ("worker", "worker")]
)
def test_a_part_that_dies_ends_the_demo_with_its_last_words(
    running: Demo, subcommand: str, name: str
) -> None:
    parts = running.parts()
    assert parts.keys() == {"serve", "train", "worker"}
    os.kill(parts[subcommand], signal.SIGKILL)
    assert running.process.wait(NOTICED_S) == demo_command.FAILED
    assert re.search(rf"the {name} was ended by signal 9; it said last:\n", running.words())
    assert "whole log: " in running.words()
    assert "Traceback" not in running.words()
    assert _all_gone(parts)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_ends_everything_and_says_what_remains(
    running: Demo, number: signal.Signals
) -> None:
    parts = running.parts()
    running.process.send_signal(number)
    assert running.process.wait(NOTICED_S) == demo_command.INTERRUPTED
    assert f"stays in {running.folder}" in running.words()
    assert f"cusp serve --dir {running.folder}" in running.words()
    assert "Traceback" not in running.words()
    assert _all_gone(parts)


def test_interrupted_while_it_starts_it_ends_everything(tmp_path: Path) -> None:
    demo = Demo(tmp_path, "--port", "0")
    wait_until(lambda: demo.parts() or demo.process.poll() is not None, 60)
    parts = demo.parts()
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(NOTICED_S) == demo_command.INTERRUPTED, demo.words()
    assert "Traceback" not in demo.words()
    assert _all_gone(parts)


def test_a_foreign_monitor_on_its_port_gets_nothing(
    monitor_process: MonitorProcess, tmp_path: Path
) -> None:
    monitor_process.start()
    folder = tmp_path / "demo"
    folder.mkdir()
    demo = Demo(folder, "--port", str(monitor_process.port))
    try:
        demo.wait_for("Dashboard: ")
        wait_until(lambda: len(demo.parts()) == 3, 60, demo.words())
        assert f"port {monitor_process.port} is in use by another Cusp monitor" in demo.words()
        found = re.search(r"Dashboard: (http://\S+)", demo.words())
        assert found is not None
        assert found[1] != monitor_process.url
    finally:
        demo.process.send_signal(signal.SIGINT)
        demo.process.wait(60)
    assert monitor_process.get("/runs")["runs"] == []


def test_a_port_taken_between_looking_and_listening_is_left_to_who_has_it(
    monitor_process: MonitorProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monitor_process.start()
    monkeypatch.setattr(demo_command, "free_port", lambda wanted: wanted)  # it was free just now
    home = tmp_path / "home"
    with Children(demo_command._environment(home), home / "logs") as children:
        url = demo_command._own_monitor(console(), children, monitor_process.port, home)
        assert url != monitor_process.url
        children.check()


def test_a_training_that_ends_well_while_others_are_looked_at_is_no_failure(tmp_path: Path) -> None:
    with Children(demo_command._environment(tmp_path), tmp_path / "logs") as children:
        child = children.start("the version", "--version")
        child.process.wait(60)
        children.check(apart_from=child)
        with pytest.raises(ChildEnded, match="the version ended with status 0"):
            children.check()


def test_a_program_that_is_no_monitor_is_said_not_to_be_one(tmp_path: Path) -> None:
    page = subprocess.Popen(
        [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert page.stdout is not None
        found = re.search(r"port (\d+)", page.stdout.readline())
        assert found is not None
        url = f"http://127.0.0.1:{found[1]}"
        demo = Demo(tmp_path, "--monitor", url)
        assert demo.process.wait(60) == 2, demo.words()
        assert "Traceback" not in demo.words()
    finally:
        page.kill()
        page.communicate()


@pytest.mark.parametrize(
    ("transition", "kept", "error", "status"),
    [
        ({"step": 57}, 20, None, 0),
        (None, None, None, 3),
        ({"step": 57}, None, None, 3),
        (None, 20, None, 3),
        ({"step": 57}, 20, "the worker was gone", 4),
    ],
)
def test_the_exit_status_says_what_happened(
    transition: object, kept: int | None, error: str | None, status: int
) -> None:
    result = {
        "transition": transition,
        "kept_checkpoint_step": kept,
        "evaluation_error": error,
    }
    assert demo_command.exit_status(result) == status


def _all_gone(parts: dict[str, int]) -> bool:
    until = time.monotonic() + 5
    while time.monotonic() < until:
        if not any(Path(f"/proc/{process}").exists() for process in parts.values()):
            return True
        time.sleep(0.1)
    return False
