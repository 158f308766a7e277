"""The demo's child processes: started with one environment, ended in order, their output kept."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO

from cusp import orphans


class Children:
    """Starts `cusp` processes of this installation; as a context manager it ends them all.

    They end by themselves when this process is killed and can end nothing any more.
    """

    def __init__(self, environment: Mapping[str, str], logs: Path) -> None:
        bound = orphans.bound_to_this_process()
        self._environment = {**os.environ, **environment, **bound, "PYTHONUNBUFFERED": "1"}
        self._logs = logs
        self._started: list[subprocess.Popen[bytes]] = []
        logs.mkdir(parents=True, exist_ok=True)

    def start(self, name: str, *arguments: str) -> tuple[subprocess.Popen[bytes], Path]:
        """Start `cusp ARGUMENTS` with its output in a log file; return the process and the file."""
        log = self._logs / f"{name}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "cusp", *arguments],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the demo, which then ends them in order
            )
        self._started.append(process)
        return process, log

    def __enter__(self) -> "Children":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in reversed(self._started):
            end(process)


def end(process: "subprocess.Popen[bytes]", grace_s: float = 10.0) -> None:
    """End a process: politely, then for sure."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(grace_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Tail:
    """The new lines of a growing log file."""

    def __init__(self, path: Path) -> None:
        self._file: IO[str] = path.open(errors="replace")
        self._part = ""

    def lines(self) -> Iterator[str]:
        """Yield the whole lines written since the last call."""
        while chunk := self._file.readline():
            self._part += chunk
            if self._part.endswith("\n"):
                yield self._part.rstrip()
                self._part = ""


def last_lines(path: Path, count: int = 8) -> str:
    """Return the end of a log file."""
    return "\n".join(path.read_text(errors="replace").splitlines()[-count:])


def free_port(wanted: int) -> int:
    """Return the wanted port if nobody listens there, else any free one."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise RuntimeError("no port is free on 127.0.0.1")
