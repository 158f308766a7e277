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
import time
import weakref
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from cusp.process import interpreter
from cusp.process.secret_files import without_secrets
from trainer.judging import PATIENT, Limits, Outcome, Pair, Question, Way
from trainer.recipe import Verifier as VerifierName

Score = float | None
USUAL = Limits()
_SCORES: dict[Outcome, Score] = {"right": 1.0, "wrong": 0.0}


class Verifier(Protocol):
    """Compares completions with gold answers, one outcome or score for each pair."""

    def outcomes(self, completions: Sequence[str], golds: Sequence[str]) -> list[Outcome]: ...

    def score(self, completions: Sequence[str], golds: Sequence[str]) -> list[Score]: ...

    def answers(self, completions: Sequence[str], golds: Sequence[str]) -> list[str | None]:
        """Return what is answered, None for nothing; equal answers of one problem are equal text.

        The golds say which options there are (`choice`), not which answer is right.
        """
        ...

    def undecidable(self, golds: Sequence[str]) -> list[int]:
        """Return the places of the golds that no answer can be compared with."""
        ...

    def close(self) -> None: ...


def make_verifier(name: VerifierName, limits: Limits = PATIENT) -> Verifier:
    """Return the verifier that a task names."""
    return make_verifiers([name], limits)[name]


def make_verifiers(
    names: Iterable[VerifierName], limits: Limits = PATIENT
) -> dict[VerifierName, Verifier]:
    """Return the verifiers by name; those that need processes share them. A step of a training waits no longer
    than `USUAL`.
    """
    judges = Judges(limits=limits)
    return {
        name: BoxedInteger() if name == "boxed_integer" else MathVerify(way=name, judges=judges)
        for name in dict.fromkeys(names)
    }


def preset_of(name: VerifierName) -> str:
    """Return how a score says that it was judged: `reward` is the way of a training.

    >>> preset_of("math_verify"), preset_of("lighteval")
    ('reward', 'lighteval')
    """
    return "reward" if name == "math_verify" else name


def scores_of(outcomes: Iterable[Outcome]) -> list[Score]:
    """Return 1 for right, 0 for wrong, None for what is not decided."""
    return [_SCORES.get(outcome) for outcome in outcomes]


_BOXED_INTEGER = re.compile(r"\\boxed\{\s*([+-]?\d+)\s*\}")
_INTEGER = re.compile(r"\s*\$?\s*([+-]?\d+)\s*\$?\s*")


class BoxedInteger:
    """The last boxed integer must equal the gold; a gold that is no integer decides nothing.

    >>> BoxedInteger().score([r"\\boxed{41} no \\boxed{42}", "42", "42"], ["42", "42", "x"])
    [1.0, 0.0, None]
    """

    def outcomes(self, completions: Sequence[str], golds: Sequence[str]) -> list[Outcome]:
        return [_compare(text, gold) for text, gold in zip(completions, golds, strict=True)]

    def score(self, completions: Sequence[str], golds: Sequence[str]) -> list[Score]:
        return scores_of(self.outcomes(completions, golds))

    def answers(self, completions: Sequence[str], golds: Sequence[str]) -> list[str | None]:
        found = [_BOXED_INTEGER.findall(text) for text in completions]
        return [str(int(boxed[-1])) if boxed else None for boxed in found]

    def undecidable(self, golds: Sequence[str]) -> list[int]:
        return [place for place, gold in enumerate(golds) if not _INTEGER.fullmatch(gold)]

    def close(self) -> None:
        """Nothing to end."""


def _compare(completion: str, gold: str) -> Outcome:
    expected = _INTEGER.fullmatch(gold)
    if expected is None:
        return "no gold"
    boxed = _BOXED_INTEGER.findall(completion)
    return "right" if boxed and int(boxed[-1]) == int(expected[1]) else "wrong"


class MathVerify:
    """math-verify in processes of its own (`Judges`). Safe from any thread; `failures` counts the pairs
    that raised, crashed or took too long.

    `math_verify_tina` reads answers as Tina's accuracy does, `math_verify_tina_swapped` as its other
    rewards: the gold as LaTeX only, and compared the other way round. `lighteval` takes plain answers too, `choice`
    letters and options (docs/reference/recipes.md).
    """

    def __init__(
        self,
        processes: int | None = None,
        limits: Limits = USUAL,
        *,
        way: Way = "math_verify",
        judges: "Judges | None" = None,
    ) -> None:
        self._judges = judges or Judges(processes, limits)
        self._way = way
        self.failures = 0

    def outcomes(self, completions: Sequence[str], golds: Sequence[str]) -> list[Outcome]:
        outcomes = self._judges.ask(self._way, list(zip(golds, completions, strict=True)))
        self.failures += outcomes.count("failed")
        return outcomes

    def score(self, completions: Sequence[str], golds: Sequence[str]) -> list[Score]:
        return scores_of(self.outcomes(completions, golds))

    def answers(self, completions: Sequence[str], golds: Sequence[str]) -> list[str | None]:
        return self._judges.read(self._way, list(zip(golds, completions, strict=True)))

    def undecidable(self, golds: Sequence[str]) -> list[int]:
        """Return the places of the golds that cannot be read, or that hang even when compared with themselves."""
        itself = [f"\\boxed{{{gold}}}" for gold in golds]
        first = self._judges.ask(self._way, list(zip(golds, itself, strict=True)))
        unsure = [place for place, outcome in enumerate(first) if outcome in ("no gold", "failed")]
        # A box under load may have been too slow for some: those are asked once more, alone.
        again = [(golds[place], itself[place] + " ") for place in unsure]
        second = self._judges.ask(self._way, again)
        return [
            place
            for place, outcome in zip(unsure, second, strict=True)
            if outcome in ("no gold", "failed")
        ]

    def close(self) -> None:
        """End the processes."""
        self._judges.close()


class Judges:
    """`processes` processes that compare answers, started at the first call and again when they end.

    A call of n pairs takes `limits.of_call(n)` seconds at most (8 s and .1 s a pair), and the time to start.
    The outcomes of the last pairs are remembered, as the rewards of a step ask for the same ones.
    """

    SLACK_S = 60.0  # for the start, and for what is not expected: a pool that no longer answers

    def __init__(self, processes: int | None = None, limits: Limits = USUAL) -> None:
        self._processes = processes or max(1, min(4, os.cpu_count() or 1))
        self._limits = limits
        self._lock = threading.Lock()
        self._judge: subprocess.Popen[str] | None = None
        self._known: dict[tuple[Pair, Way], Outcome] = {}

    def ask(self, way: Way, pairs: Sequence[Pair]) -> list[Outcome]:
        """Return an outcome for each pair; one that failed one way is not tried another way."""
        with self._lock:
            asked = set(pairs)
            self._known = {key: kept for key, kept in self._known.items() if key[0] in asked}
            hopeless = {pair for (pair, _), outcome in self._known.items() if outcome == "failed"}
            self._known |= {(pair, way): "failed" for pair in hopeless}
            new = [pair for pair in dict.fromkeys(pairs) if (pair, way) not in self._known]
            found: list[Outcome] = self._ask("outcome", way, new) if new else []
            self._known |= {(pair, way): one for pair, one in zip(new, found, strict=False)}
            return [self._known.get((pair, way), "failed") for pair in pairs]

    def read(self, way: Way, pairs: Sequence[Pair]) -> list[str | None]:
        """Return what each completion answers, None for nothing and where reading it failed."""
        with self._lock:
            new = list(dict.fromkeys(pairs))
            found: list[str | None] = self._ask("answer", way, new) if new else []
            known = dict(zip(new, found, strict=False))
            return [known.get(pair) for pair in pairs]

    def _ask(self, question: Question, way: Way, pairs: Sequence[Pair]) -> list[Any]:
        """Return what was asked for each pair; nothing where the processes took too long, or ended twice."""
        until = time.monotonic() + self.SLACK_S + self._limits.of_call(len(pairs))
        found = self._try(question, way, pairs)
        # What ended them is seldom one of the pairs (a box without memory, a person): once more, but not after a
        # call that hung to its end, for which a step would wait twice.
        again = not found and time.monotonic() < until
        return self._try(question, way, pairs) if again else found

    def _try(self, question: Question, way: Way, pairs: Sequence[Pair]) -> list[Any]:
        """Return what was asked for each pair, nothing at all where the processes ended meanwhile."""
        judge = self._judge or self._start()
        assert judge.stdin is not None
        assert judge.stdout is not None
        self._judge = None  # until it has answered: half an answer is nobody's
        watchdog = threading.Timer(self.SLACK_S + self._limits.of_call(len(pairs)), judge.kill)
        watchdog.start()
        try:
            asked = {"question": question, "way": way, "pairs": pairs}
            print(json.dumps(asked), file=judge.stdin, flush=True)
            answers: list[Any] = json.loads(judge.stdout.readline())
            self._judge = judge
        except (OSError, ValueError):
            return []
        finally:
            watchdog.cancel()
            if self._judge is None:
                _end(judge)
        return answers

    def _start(self) -> "subprocess.Popen[str]":
        numbers = self._processes, *self._limits
        judge = subprocess.Popen(
            interpreter.module("trainer.math_judge", *map(str, numbers)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=without_secrets(),  # it reads what a model wrote
            # torchrun passes SIGTERM to the group of each rank, which then still trains its step to the end.
            start_new_session=True,
        )
        weakref.finalize(self, _end, judge)  # TRL never says that it needs a reward no more
        return judge

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
