"""A person's script (`watched_script`) as a process of its own, or several, beside a monitor."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.asking import AskingMonitor
from tests.serving import Served

ROOT = Path(__file__).parents[2]
Json = dict[str, Any]


class Script:
    """The script as its own process, or processes."""

    def __init__(self, served: Served | AskingMonitor, folder: Path, cache: Path) -> None:
        (folder / "cache").symlink_to(cache)
        self.served, self.folder = served, folder
        self.environment = {"CUSP_URL": served.url, "CUSP_DIR": str(folder / "cusp")}

    def get(self, path: str) -> Json:
        answer = httpx.get(f"{self.served.url}/api/v1{path}", timeout=20)
        answer.raise_for_status()
        return dict(answer.json())

    @property
    def run_id(self) -> str:
        return next((self.folder / "cusp" / "runs").iterdir()).name

    def run(self) -> Json:
        return self.get(f"/runs/{self.run_id}")

    def stop(self, reason: str) -> None:
        url = f"{self.served.url}/api/v1/runs/{self.run_id}/stop"
        httpx.post(url, json={"reason": reason}, timeout=20).raise_for_status()

    def step(self) -> int:
        if not (self.folder / "cusp" / "runs").is_dir():
            return -1
        answer = httpx.get(f"{self.served.url}/api/v1/runs/{self.run_id}", timeout=20)
        return (answer.json().get("step") or -1) if answer.is_success else -1

    def call(self, how: str, chosen: Sequence[str], launcher: Sequence[str] = ()) -> list[str]:
        module = ["-m", "tests.e2e.watched_script", str(self.folder), how, *chosen]
        return [sys.executable, *launcher, *module]

    def ended(
        self, how: str = "watch", chosen: Sequence[str] = (), **environment: str
    ) -> "subprocess.CompletedProcess[str]":
        """Return the script's end."""
        return subprocess.run(
            self.call(how, chosen),
            env={**os.environ, **self.environment, **environment},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=200,
            check=True,
        )

    @contextmanager
    def going(
        self, how: str = "watch", chosen: Sequence[str] = (), launcher: Sequence[str] = ()
    ) -> "Iterator[subprocess.Popen[str]]":
        """Start the script and go on beside it."""
        process = subprocess.Popen(
            self.call(how, chosen, launcher),
            env={**os.environ, **self.environment},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()
