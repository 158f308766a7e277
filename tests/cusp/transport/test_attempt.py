"""Who may ship an attempt's spool: the attempt while it lives, afterwards one process at a time."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cusp.cli.app import app
from cusp.transport.attempt import load_leftover

TRAINER = """
import cusp, sys
run = cusp.init("p", "n")
for step in range(3):
    run.log({"reward": 1.0}, step)
print(run.home / "attempts" / run.attempt_id, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def trainer(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A live trainer with no monitor, as a process of its own; its first line names its spool."""
    environment = {**os.environ, "CUSP_DIR": str(tmp_path), "CUSP_MODE": "offline"}
    with subprocess.Popen(
        [sys.executable, "-c", TRAINER],
        env=environment,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        yield process
        process.kill()


def test_the_spool_of_a_live_attempt_is_nobody_elses_and_that_of_a_dead_one_one_process_at_a_time(
    trainer: "subprocess.Popen[str]", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert trainer.stdout is not None
    folder = Path(trainer.stdout.readline().strip())
    (segment,) = folder.glob("spool-*")
    with segment.open("ab") as file:
        file.write(b'{"kind": "poi')  # the line in flight
    before = segment.read_bytes()
    monkeypatch.setenv("CUSP_DIR", str(tmp_path))
    assert load_leftover(folder) is None
    result = CliRunner().invoke(app, ["sync", "--json"])
    assert (result.exit_code, result.output.split()) == (
        0,
        ["{", '"sent":', "0,", '"waiting":', "0", "}"],
    )
    assert segment.read_bytes() == before, "nobody may cut a line that is being written"

    trainer.kill()
    trainer.wait()
    found = load_leftover(folder)
    assert found is not None
    assert found.spool.pending() == 4, "three points and the start; the half line is gone"
    assert load_leftover(folder) is None, "one process at a time"
    found.close()
    again = load_leftover(folder)
    assert again is not None
    again.close()
