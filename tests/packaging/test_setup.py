"""`make setup` on a slow network: a line every while; on a failure pip's own words."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

INSTALL = Path(__file__).parents[2] / ".ci" / "install.py"
STALL_S = 4.0


class Stalling(BaseHTTPRequestHandler):
    """A package index that takes long to say that it has nothing."""

    def do_GET(self) -> None:
        time.sleep(STALL_S)
        self.send_error(404)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def index() -> Iterator[str]:
    """The address of a stalling index."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Stalling)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/simple"
    server.shutdown()
    thread.join()
    server.server_close()


def install(every_s: float, *arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
    """Run the installer of this environment."""
    return subprocess.run(
        [sys.executable, str(INSTALL), *arguments],
        env={**os.environ, "CUSP_SETUP_EVERY_S": str(every_s), **more},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_slow_network_is_heard_of_and_a_failure_shows_what_pip_said(index: str) -> None:
    more = {"PIP_INDEX_URL": index, "PIP_EXTRA_INDEX_URL": "", "PIP_NO_INDEX": ""}
    done = install(
        1, "--no-cache-dir", "no-such-package-of-cusp", PIP_CONFIG_FILE=os.devnull, **more
    )
    assert done.returncode != 0
    lines = [line for line in done.stdout.splitlines() if line.endswith("MB so far")]
    assert len(lines) >= STALL_S - 2
    assert "no-such-package-of-cusp" in done.stdout
    assert "install.log" in done.stdout


def test_a_fast_one_says_nothing() -> None:
    done = install(60, "pip")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_without_a_c_compiler_the_suite_says_so_before_it_installs(tmp_path: Path) -> None:
    root = INSTALL.parents[1]
    (tmp_path / "Makefile").write_bytes((root / "Makefile").read_bytes())
    for name in ("pyproject.toml", "constraints.txt", ".venv/bin/.installed"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    done = subprocess.run(
        ["make", "smol", "CC=no-such-compiler"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "need a C compiler, no-such-compiler" in done.stdout
    assert "set CC" in done.stdout
