"""The processes of the soak, each real and each killed again and again: monitor, trainers, worker."""

import os
import random
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from cusp.ids import new_id
from tests.small import SMALL


@dataclass
class Box:
    """The machine they share: a folder, the monitor's address, its database."""

    folder: Path
    port: int
    database: str  # a path, or a PostgreSQL URI
    adapter: Path = Path()
    recipe: Path = Path()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def spawn(self, log: str, *command: str, **more: str) -> "subprocess.Popen[bytes]":
        """Start a process whose words go to a log file."""
        environment = {
            **os.environ,
            "CUSP_URL": self.url,
            "CUSP_DIR": str(self.folder),
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
            **more,
        }
        with (self.folder / log).open("ab") as file:
            return subprocess.Popen(
                [sys.executable, "-m", *command], env=environment, stdout=file, stderr=file
            )

    def prepare(self) -> None:
        """Train the tiny model for real, once: its adapter and base are what the worker scores."""
        run_id = new_id()
        command = ("trainer.train", "tiny", *SMALL, "--run-id", run_id)
        if self.spawn("prepare.log", *command, CUSP_MODE="offline").wait(300):
            raise RuntimeError((self.folder / "prepare.log").read_text()[-3000:])
        root = self.folder / "runs" / run_id
        (self.folder / "adapter").mkdir()
        self.adapter = self.folder / "adapter"
        for file in (root / "checkpoint-4").glob("adapter_*"):
            file.rename(self.adapter / file.name)
        self.recipe = (root / "recipe.yaml").rename(self.adapter / "recipe.yaml")
        subprocess.run(["rm", "-r", str(root)], check=True)


@dataclass
class Actor:
    """One process that lives, is killed at a random moment and lives again."""

    box: Box
    rng: random.Random
    kills: int = 0
    process: "subprocess.Popen[bytes] | None" = None
    enough: threading.Event = field(default_factory=threading.Event)

    def keep_alive(self) -> bool:
        """Start it if it is not there; return whether there is anything left for it to do."""
        raise NotImplementedError

    def moment_s(self) -> float:
        """Return how long it may live this time, in seconds."""
        raise NotImplementedError

    def run(self, quota: int) -> None:
        """Live and be killed until the quota is reached, then only live until `enough`."""
        while not self.enough.is_set() and self.keep_alive():
            ended = self._wait(self.moment_s() if self.kills < quota else 0.3)
            if self.process is not None and not ended and self.kills < quota:
                self.process.kill()
                self.process.wait()
                self.kills += 1
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def _wait(self, seconds: float) -> bool:
        """Wait; return whether the process has ended by itself meanwhile."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self.enough.is_set():
            if self.process is None or self.process.poll() is not None:
                return True
            time.sleep(0.02)
        return self.process is None or self.process.poll() is not None


class Monitor(Actor):
    """`cusp serve`; killed while it starts, too."""

    def keep_alive(self) -> bool:
        if self.process is None or self.process.poll() is not None:
            more = {"CUSP_DATABASE_URL": self.box.database}
            command = ("cusp", "serve", "--port", str(self.box.port))
            self.process = self.box.spawn("monitor.log", *command, **more)
        if self.rng.random() < 0.85:
            self._wait_until_ready()
        return True

    def moment_s(self) -> float:
        return self.rng.uniform(0.0, 6.0)

    def _wait_until_ready(self) -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until and self.process and self.process.poll() is None:
            try:
                if httpx.get(f"{self.box.url}/readyz", timeout=2, trust_env=False).is_success:
                    return
            except httpx.HTTPError:
                time.sleep(0.1)


@dataclass
class Trainer(Actor):
    """One light training after another; a killed one is taken up again under its run id."""

    run_id: str = ""
    runs: tuple[str, ...] = ()
    ended: int = 0
    last: bool = False
    turn: int | None = None

    def keep_alive(self) -> bool:
        if self.process is not None and self.process.poll() is None:
            return True
        if self.process is None or self.process.returncode == 0:
            self.ended += self.process is not None
            if self.last:
                return False
            self._new_run()
        notes = str(self.box.folder / f"{self.run_id}.notes")
        command = ["tests.soak.light_trainer", notes, "--adapter", str(self.box.adapter)]
        command += ["--steps", "160", "--interval", "0.03", "--retry", "0.1", "--timeout", "3"]
        command += ["--turn", str(self.turn)] if self.turn else []
        self.process = self.box.spawn("trainers.log", *command, CUSP_RUN_ID=self.run_id)
        return True

    def moment_s(self) -> float:
        return self.rng.uniform(0.2, 6.0)

    def _new_run(self) -> None:
        self.run_id = new_id()
        self.runs = (*self.runs, self.run_id)
        self.turn = self.rng.choice([None, 50, 70])
        root = self.box.folder / "runs" / self.run_id
        root.mkdir(parents=True)
        (root / "recipe.yaml").write_bytes(self.box.recipe.read_bytes())


class Worker(Actor):
    """`cusp worker`; killed while it starts, while it waits and while it scores."""

    def keep_alive(self) -> bool:
        if self.process is None or self.process.poll() is not None:
            self.process = self.box.spawn("worker.log", "cusp", "worker")
            self._wait(self.rng.choice([0.0, 12.0, 12.0, 12.0]))  # mostly until it has started
        return True

    def moment_s(self) -> float:
        return self.rng.uniform(0.0, 8.0)
