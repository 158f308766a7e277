"""Child processes of the demo: started with one environment, stopped in order, output in log files."""

import contextlib
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

from cusp.errors import CuspError
from cusp.process import interpreter, parent
from cusp.process.machine import usable


class NoPort(CuspError, RuntimeError):
    """No port is free to listen on."""


class ChildEnded(CuspError, RuntimeError):
    """A child process ended early; the message names it and quotes its last output."""

    status = 4


@dataclass(frozen=True)
class Child:
    """A started process with its name and log file."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def ended(self) -> bool:
        """Whether the process has ended."""
        return self.process.poll() is not None

    def check(self) -> None:
        """Raise ChildEnded if the process has ended."""
        if self.ended:
            raise ChildEnded(f"{self.name} {self.how()}")

    def how(self) -> str:
        """Return its exit status and last lines as text."""
        status = self.process.returncode
        how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
        said = last_lines(self.log) or "(it said nothing)"
        return f"{how}; it said last:\n{said}\n(whole log: {self.log})"


class Children:
    """Starts `cusp` processes of this installation; as a context manager it stops them all.

    They also end by themselves when this process is killed.
    """

    def __init__(self, environment: Mapping[str, str], logs: Path) -> None:
        bound = parent.bound_to_this_process()
        unbuffered = {"PYTHONUNBUFFERED": "1"}
        self._environment = interpreter.environment(environment, bound, unbuffered)
        self._logs = logs
        self._started: list[Child] = []
        usable(logs)

    def start(self, name: str, *arguments: str, **more: str) -> Child:
        """Start `cusp ARGUMENTS` with `more` in its environment, and its output in a log file."""
        log = self._logs / f"{name.rpartition(' ')[2]}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                interpreter.module("cusp", *arguments),
                env={**self._environment, **more},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches only the demo, which stops them in order
            )
        self._started.append(child := Child(name, process, log))
        return child

    def drop(self, child: Child) -> None:
        """Forget a child that has ended as expected."""
        self._started.remove(child)

    def check(self, *, apart_from: Child | None = None) -> None:
        """Raise ChildEnded if one of them is over, `apart_from` one that may be."""
        for child in self._started:
            if child is not apart_from:
                child.check()

    def __enter__(self) -> "Children":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        first, later = self._started[:1], self._started[1:]
        try:
            end([child.process for child in later])
            end([child.process for child in first])  # the monitor last: the others report to it
        except KeyboardInterrupt:  # a second Ctrl-C
            for child in self._started:
                child.process.kill()


def end(processes: "Sequence[subprocess.Popen[bytes]]", grace_s: float = 5.0) -> None:
    """Stop processes together: SIGTERM, then SIGKILL after `grace_s` seconds."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
    until = time.monotonic() + grace_s
    for process in processes:
        try:
            process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Tail:
    """Reader of the new lines of a growing log file."""

    def __init__(self, path: Path) -> None:
        self._file: IO[str] = path.open(errors="replace")
        self._part = ""

    def lines(self) -> Iterator[str]:
        """Yield the complete lines written since the last call."""
        while chunk := self._file.readline():
            self._part += chunk
            if self._part.endswith("\n"):
                yield self._part.rstrip()
                self._part = ""


def last_lines(path: Path, count: int = 8) -> str:
    """Return the last `count` lines of a log file."""
    return "\n".join(path.read_text(errors="replace").splitlines()[-count:])


def free_port(wanted: int) -> int:
    """Return the wanted port if it is free, else any free one."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise NoPort("no port is free on 127.0.0.1; end something that listens")
