"""Right (1), wrong (0) or not decided (None): a verifier failure is never called wrong.

math-verify cannot be trusted inside the caller's process: off the main thread it raises, without its
alarm it may hang. It runs in processes of its own that are killed when they take too long.
"""

import json
import os
import queue
import re
import selectors
import subprocess
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import IO, Protocol

from cusp.process import interpreter
from trainer.recipe import Verifier as VerifierName

Score = float | None


class Verifier(Protocol):
    """Compares completions with gold answers, one score for each pair."""

    def score(self, completions: Sequence[str], golds: Sequence[str]) -> list[Score]: ...

    def close(self) -> None: ...


def make_verifier(name: VerifierName) -> Verifier:
    """Return the verifier a recipe names."""
    return BoxedInteger() if name == "boxed_integer" else MathVerify()


_BOXED_INTEGER = re.compile(r"\\boxed\{\s*([+-]?\d+)\s*\}")
_INTEGER = re.compile(r"\s*\$?\s*([+-]?\d+)\s*\$?\s*")


class BoxedInteger:
    """The last boxed integer must equal the gold; a gold that is no integer decides nothing.

    >>> BoxedInteger().score([r"\\boxed{41} no \\boxed{42}", "42", "42"], ["42", "42", "x"])
    [1.0, 0.0, None]
    """

    def score(self, completions: Sequence[str], golds: Sequence[str]) -> list[Score]:
        return [_compare(text, gold) for text, gold in zip(completions, golds, strict=True)]

    def close(self) -> None:
        """Nothing to end."""


def _compare(completion: str, gold: str) -> Score:
    expected = _INTEGER.fullmatch(gold)
    if expected is None:
        return None
    boxed = _BOXED_INTEGER.findall(completion)
    return float(bool(boxed) and int(boxed[-1]) == int(expected[1]))


class MathVerify:
    """math-verify in `processes` processes; a pair that takes over `timeout_s` or crashes it is
    not decided. Safe from any thread; `failures` counts what was killed or crashed.
    """

    def __init__(self, processes: int | None = None, timeout_s: float = 10.0) -> None:
        self._count = processes or max(1, min(4, os.cpu_count() or 1))
        self._timeout_s = timeout_s
        self._free: queue.SimpleQueue[_Judge] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads: ThreadPoolExecutor | None = None
        self.failures = 0

    def score(self, completions: Sequence[str], golds: Sequence[str]) -> list[Score]:
        with self._lock:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(self._count, thread_name_prefix="math-verify")
                for _ in range(self._count):
                    self._free.put(_Judge())
        return list(self._threads.map(self._one, golds, completions))

    def _one(self, gold: str, completion: str) -> Score:
        judge = self._free.get()
        try:
            return judge.ask(gold, completion, self._timeout_s)
        except TimeoutError:
            self.failures += 1
            return None
        finally:
            self._free.put(judge)

    def close(self) -> None:
        """End the processes."""
        with self._lock:
            if self._threads is None:
                return
            self._threads.shutdown()
            self._threads = None
            while not self._free.empty():
                self._free.get().kill()

    def __enter__(self) -> "MathVerify":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _Judge:
    """One `trainer.math_judge` process, started when first asked and after a kill."""

    START_S = 60.0

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, gold: str, completion: str, timeout_s: float) -> Score:
        """Return the score; TimeoutError after killing a process that was too slow or died."""
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps([gold, completion]).encode() + b"\n")
            process.stdin.flush()
            answer = json.loads(_line(process.stdout, timeout_s))
        except (OSError, TimeoutError, ValueError) as error:
            self.kill()
            raise TimeoutError(f"math-verify gave no answer in {timeout_s:g} s") from error
        return None if answer is None else float(answer)

    def _start(self) -> subprocess.Popen[bytes]:
        self._process = subprocess.Popen(
            interpreter.module("trainer.math_judge"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )
        assert self._process.stdout is not None
        _line(self._process.stdout, self.START_S)
        return self._process

    def kill(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def _line(pipe: IO[bytes], timeout_s: float) -> bytes:
    """Return the next line of the pipe, which holds at most one; TimeoutError when none comes."""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        if not selector.select(timeout_s):
            raise TimeoutError
    return pipe.readline()
