"""The systems Cusp is measured beside: their environments, their servers, one worker process a measure.

    python -m benchmarks.peers.peers    makes the environments in .bench-peers (make bench-peers-env)

Every version is pinned in systems/main.txt and systems/aim.txt. Nothing of them is installed beside Cusp.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
HOME = HERE.parents[1] / ".bench-peers"
Json = dict[str, Any]


@dataclass(frozen=True)
class System:
    """One of the systems: where its worker runs, and how its server is started, if it has one."""

    name: str
    worker: str
    place: str | None  # the environment; None is Cusp's own
    server: tuple[str, ...] = ()
    environment: Json = field(default_factory=dict)
    ready: str = "/"
    title: str = ""


TRACKIO_SERVER = (
    "import trackio; trackio.show(open_browser=False, server_port={port}, block_thread=True)"
)
QUIET = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1"}
SYSTEMS = {
    one.name: one
    for one in (
        System(
            "cusp",
            "on_cusp.py",
            None,
            ("-m", "cusp", "serve", "--port", "{port}", "--dir", "{dir}/server"),
            ready="/readyz",
            title="Cusp: client -> cusp serve",
        ),
        System(
            "trackio",
            "on_trackio.py",
            "main",
            ("-c", TRACKIO_SERVER),
            {
                "TRACKIO_DIR": "{dir}/server",
                "TRACKIO_WRITE_TOKEN": "x",
                "HF_HOME": "{dir}/hf",
                "TRACKIO_STORAGE_MODE": "sqlite",
            },
            "/version",
            "trackio -> its server",
        ),
        System(
            "mlflow",
            "on_mlflow.py",
            "main",
            (
                *("-m", "mlflow", "server", "--host", "127.0.0.1", "--port", "{port}"),
                *("--backend-store-uri", "sqlite:///{dir}/server/mlflow.db", "--workers", "1"),
                *("--default-artifact-root", "{dir}/artifacts"),
            ),
            {"MLFLOW_DISABLE_TELEMETRY": "true", "GIT_PYTHON_REFRESH": "quiet"},
            "/health",
            "mlflow -> mlflow server",
        ),
        System("aim", "on_aim.py", "aim", title="aim, local"),
        System("wandb", "on_wandb.py", "main", title="wandb offline, local"),
        System("tensorboard", "on_tensorboard.py", "main", title="TensorBoard writer, local"),
        System("sqlite", "on_sqlite.py", None, title="plain sqlite3, local"),
    )
}


def python_of(system: System) -> str:
    """Return the interpreter of the system's environment, made if it is not there."""
    if system.place is None:
        return sys.executable
    make(system.place)
    return str(HOME / system.place / "bin" / "python")


def make(place: str) -> None:
    """Make one environment with the pinned versions; nothing happens where it is there."""
    folder, pins = HOME / place, HERE / "systems" / f"{place}.txt"
    done = folder / "pins"
    if done.exists() and done.read_text() == pins.read_text():
        return
    print(f"making {folder} from {pins} (minutes, once)", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, "--requirement", str(pins)], check=True)
    done.write_text(pins.read_text())


class Place:
    """A system at work in a folder: its server, if it has one, and its data."""

    def __init__(self, system: System, folder: Path) -> None:
        self.system, self.folder, self.url = system, folder, ""
        self.process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        (folder / "server").mkdir(parents=True)

    def start(self) -> None:
        """Start the server and wait until it answers."""
        if not self.system.server:
            return
        words = {"port": self.port, "dir": self.folder}
        extra = {key: value.format(**words) for key, value in self.system.environment.items()}
        self.url = f"http://127.0.0.1:{self.port}"
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [python_of(self.system), *(part.format(**words) for part in self.system.server)],
                env={**os.environ, **QUIET, **extra},
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_for(self.url + self.system.ready, self.folder / "server.log")

    def end(self, how: int = signal.SIGTERM) -> float:
        """End the server and return how many seconds that took."""
        if self.process is None:
            return 0.0
        began = time.perf_counter()
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, how)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process = None
        return time.perf_counter() - began

    def work(
        self, what: str, run: str, timeout_s: float = 900.0, url: str = "", **options: object
    ) -> Json:
        """Return what one worker process measured; `url` where not straight at the server."""
        command = [python_of(self.system), str(HERE / "systems" / self.system.worker), what]
        command += ["--dir", str(self.folder), "--url", url or self.url, "--run", run]
        for name, value in options.items():
            command += [f"--{name}", str(value)]
        done = subprocess.run(
            command,
            env={**os.environ, **QUIET},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )
        if done.returncode:
            said = (done.stdout + done.stderr).strip().splitlines()[-12:]
            raise RuntimeError(f"{self.system.name} {what} failed:\n" + "\n".join(said))
        found: Json = json.loads(done.stdout.strip().splitlines()[-1])
        return found

    def size(self) -> int:
        """Return the bytes of what the system keeps: its server's folder, or all of a local one."""
        kept = self.folder / "server" if self.system.server else self.folder
        return sum(path.stat().st_size for path in kept.rglob("*") if path.is_file())


@contextmanager
def places(names: Sequence[str]) -> Iterator[dict[str, Place]]:
    """Give the systems, each with its server running, in a temporary folder; they end with the block."""
    opened: dict[str, Place] = {}
    with tempfile.TemporaryDirectory(prefix="cusp-bench-") as folder:
        try:
            for name in names:
                opened[name] = Place(SYSTEMS[name], Path(folder, name))
                opened[name].start()
            yield opened
        finally:
            for place in opened.values():
                place.end()


def wait_for(url: str, log: Path, most_s: float = 120.0) -> None:
    """Wait until something answers there."""
    until = time.monotonic() + most_s
    while time.monotonic() < until:
        try:
            urllib.request.urlopen(url, timeout=5).read()
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise SystemExit(f"nothing answers at {url} after {most_s:.0f} s; see {log}")


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    for each in ("main", "aim"):
        make(each)
        print(f"{HOME / each} is ready")
