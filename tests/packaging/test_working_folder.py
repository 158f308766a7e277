"""A `monitor.py`, `trainer.py` or `cusp.py` in the working folder is the user's, and is left alone."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cusp.cli.demo.processes import Children
from cusp.process import interpreter
from tests.waiting import wait_until
from trainer import launch
from trainer.verifiers import make_verifier

NAMES = ("monitor", "trainer", "webui", "migrations", "torch", "typer", "token", "queue")


@pytest.fixture
def users_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with files that end whoever imports them."""
    folder = tmp_path / "work"
    folder.mkdir()
    for name in NAMES:
        (folder / f"{name}.py").write_text(f"raise SystemExit('the user\\'s {name}.py ran')\n")
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("safe", ["", "1"])
def test_the_command_as_a_module_does_not_import_them(
    users_folder: Path, tmp_path: Path, safe: str
) -> None:
    """`python -m` puts the working folder first; nothing of ours may be looked for there."""
    (users_folder / "queue.py").unlink()  # of Python's own, which starts before we can say anything
    (users_folder / "token.py").unlink()
    (users_folder / "typer.py").unlink() if not safe else None
    log = tmp_path / "log.csv"
    log.write_text("step,format_reward\n" + "".join(f"{n},0.5\n" for n in range(30)))
    for arguments in (["replay", str(log)], ["db", "upgrade", "--dir", str(tmp_path / "data")]):
        done = subprocess.run(
            [sys.executable, "-m", "cusp", *arguments],
            env={**os.environ, "PYTHONSAFEPATH": safe},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_processes_of_the_demo_do_not_import_them(users_folder: Path, tmp_path: Path) -> None:
    with Children({"CUSP_DIR": str(tmp_path)}, tmp_path / "logs") as children:
        monitor = children.start("the monitor", "serve", "--port", "0")
        wait_until(lambda: monitor.ended or "http://" in monitor.log.read_text(), 60)
        said = monitor.log.read_text()
        assert re.search(r"Cusp \S+ at http://", said), said


def test_the_judge_of_answers_does_not_import_them(users_folder: Path) -> None:
    verifier = make_verifier("math_verify")
    try:
        found = verifier.score([r"\boxed{7}"], ["$7$"])
    finally:
        verifier.close()
    assert found == [1.0]


@pytest.mark.parametrize("processes", [1, 2])
def test_the_processes_of_a_training_do_not_import_them(users_folder: Path, processes: int) -> None:
    done = subprocess.run(
        [*launch.command(processes), "no-such-recipe"],
        env=interpreter.environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "there is no recipe 'no-such-recipe'" in done.stderr, done.stderr
    assert "user's" not in done.stdout + done.stderr
