"""Right (1), wrong (0) or not decided (None): a verifier failure is never called wrong.

math-verify cannot be trusted inside the caller's process: off the main thread it raises, without its
alarm it may hang. It runs in processes of its own that are killed when they take too long.
"""

import contextlib
import json
import os
import re
import subprocess
import threading
from collections.abc import Sequence
from typing import Any, Protocol

from cusp.process import interpreter
from trainer.recipe import Verifier as VerifierName

Score = float | None
_FAILED = "failed"


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
    """math-verify in `processes` processes; a pair that takes over `timeout_s` or crashes one is not
    decided. Safe from any thread; `failures` counts those pairs.
    """

    SLACK_S = 60.0  # for the start, and for what is not expected: a pool that no longer answers

    def __init__(self, processes: int | None = None, timeout_s: float = 10.0) -> None:
        self._processes = processes or max(1, min(4, os.cpu_count() or 1))
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._judge: subprocess.Popen[str] | None = None
        self.failures = 0

    def score(self, completions: Sequence[str], golds: Sequence[str]) -> list[Score]:
        pairs = list(zip(golds, completions, strict=True))
        with self._lock:
            answers = self._ask(pairs)
            self.failures += answers.count(_FAILED)
        return [None if answer in (None, _FAILED) else float(answer) for answer in answers]

    def _ask(self, pairs: Sequence[tuple[str, str]]) -> list[Any]:
        judge = self._judge or self._start()
        assert judge.stdin is not None
        assert judge.stdout is not None
        self._judge = None  # until it has answered: half an answer is nobody's
        at_most_s = self.SLACK_S + self._timeout_s * (1 + len(pairs) / self._processes)
        watchdog = threading.Timer(at_most_s, judge.kill)
        watchdog.start()
        try:
            print(json.dumps(pairs), file=judge.stdin, flush=True)
            answers: list[Any] = json.loads(judge.stdout.readline())
            self._judge = judge
        except (OSError, ValueError):
            return [_FAILED] * len(pairs)
        finally:
            watchdog.cancel()
            if self._judge is None:
                _end(judge)
        return answers

    def _start(self) -> "subprocess.Popen[str]":
        limits = str(self._processes), str(self._timeout_s)
        return subprocess.Popen(
            interpreter.module("trainer.math_judge", *limits),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def close(self) -> None:
        """End the processes."""
        with self._lock:
            if self._judge is not None:
                _end(self._judge)
            self._judge = None


def _end(judge: "subprocess.Popen[str]") -> None:
    """Close the input, on which it ends by itself, and wait for that; kill it if it does not."""
    killer = threading.Timer(5.0, judge.kill)
    killer.start()
    with contextlib.suppress(OSError), judge:
        pass
    killer.cancel()
