"""`cusp runs` and `cusp show` in a terminal as people have it: every line fits, nothing that matters is cut."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from tests.conftest import MonitorProcess
from tests.messages import Trainer, checkpoint, point

LONG = "open-rs2-r1-distill-qwen-1.5b-lora-r32-alpha128-lr1e-6-seed-7"


def typed(monitor: MonitorProcess, folder: Path, columns: int, *words: str) -> list[str]:
    """Return the lines that a command prints into a terminal of this width."""
    here, there = pty.openpty()
    fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "NO_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-m", "cusp", *words],
        env={
            **environment,
            "CUSP_URL": monitor.url,
            "CUSP_TOKEN": monitor.token or "",
            "CUSP_DIR": str(folder),
            "TERM": "xterm",
        },
        stdin=there,
        stdout=there,
        stderr=there,
        close_fds=True,
    )
    os.close(there)
    content = b""
    while True:
        try:
            part = os.read(here, 65_536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        content += part
    os.close(here)
    assert process.wait(60) == 0, content.decode()
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", content.decode())
    return plain.replace("\r\n", "\n").rstrip("\n").split("\n")


@pytest.fixture
def monitor(monitor_process: MonitorProcess) -> MonitorProcess:
    """A monitor with a run of a long name, and one whose name looks like a terminal's markup."""
    monitor_process.start()
    with monitor_process.client() as client:
        for name in (LONG, "[bold red]x[/]"):
            trainer = Trainer(client, name=name, project="a project with quite a name")  # type: ignore[arg-type]
            trainer.send(*(point(s, format_reward=0.5, completion_length=900.0) for s in range(30)))
            trainer.send(checkpoint(20))
    return monitor_process


@pytest.mark.parametrize("columns", [80, 100, 160])
def test_every_line_fits_and_the_run_can_be_named_by_what_is_shown(
    monitor: MonitorProcess, tmp_path: Path, columns: int
) -> None:
    lines = typed(monitor, tmp_path, columns, "runs")
    assert max(map(len, lines)) <= columns, lines
    assert any("[bold red]x[/]" in line for line in lines)
    (row,) = (line for line in lines if "open-rs2" in line)
    assert "seed-7" in row
    assert "29" in row
    assert "running" in row
    shown = typed(monitor, tmp_path, columns, "show", row.split()[0])
    assert max(len(line) for line in shown if "http" not in line) <= columns, shown
    text = " ".join(line.strip() for line in shown)
    assert LONG in text.replace(" ", "") or LONG in text
    assert "not measured" in text or "accuracy" in text
    assert not any(line.endswith(("\u2026", "...")) for line in shown), shown
