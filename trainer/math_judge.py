"""A process that compares answers: a line of JSON with `question`, `way` and `[gold, completion]` pairs in, a list out.

It is done in forked processes that are killed when they take too long; math-verify's own timeouts, which
would turn a slow answer into a wrong one, are off. They are forked from here, where the parser is warm, and
not from a training, which has threads and a GPU, and whose main module every started process would import.
"""

import json
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from typing import IO, Any

from latex2sympy2_extended import NormalizationConfig
from math_verify import LatexExtractionConfig, parse, verify
from pebble import ProcessFuture, ProcessPool

from cusp.process import parent
from trainer.gym import task_judge
from trainer.judges.mathematics import math_answers
from trainer.judges.mathematics.math_values import canonical
from trainer.judges.multiple_choice import choice_of
from trainer.judges.option_values import choice_outcome, settled
from trainer.judging import Limits, Outcome, Pair, Question, Way

_LATE, _RAISED = "\0 took too long", "\0 raised"  # no answer begins so
EASY: tuple[Way, str, str] = ("math_verify", r"$\frac{1}{2}$", r"\boxed{0.5}")


def main(processes: int, limits: Limits) -> None:
    """Answer until the input ends, which it does with the process at its other end."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what math-verify prints is no answer
    questions, sys.stdin = sys.stdin, None  # a child would close it, and wait for who reads it
    pools: dict[bool, ProcessPool] = {}
    for line in questions:
        question = json.loads(line)
        gym = question["way"] == "reasoning_gym"
        if gym not in pools:
            pools[gym] = _pool(processes, ("reasoning_gym", "", "") if gym else EASY)
        asked = pools[gym], question, limits, answers
        threading.Thread(target=_answer, args=asked, daemon=True).start()
    for pool in pools.values():
        pool.stop()  # type: ignore[no-untyped-call]
        pool.join()


def _pool(processes: int, easy: tuple[Way, str, str]) -> ProcessPool:
    """Return processes forked from here after an easy question, for which all is imported and warm."""
    judge(*easy)
    pool = ProcessPool(
        processes,
        initializer=_end_with,
        initargs=(os.getpid(),),
        context=multiprocessing.get_context("fork"),
    )
    pool.schedule(judge, easy)  # starts it here: it ends with the thread that started it
    return pool


def _end_with(pool: int) -> None:
    """Let SIGTERM end this process within a long computation too, and so also the pool's end."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent.end_with_parent({parent.VARIABLE: str(pool)})


def _answer(pool: ProcessPool, question: dict[str, object], limits: Limits, to: IO[str]) -> None:
    print(json.dumps(judged(pool, limits, **question)), file=to, flush=True)  # type: ignore[arg-type]


def judged(
    pool: ProcessPool,
    limits: Limits,
    way: Way,
    pairs: Sequence[Pair],
    question: Question = "outcome",
) -> list[str | None]:
    """Return an outcome for each pair, or what it answers, within the budget.

    Every pair has a quick try before a slow one has its second, so an answer is not left undecided because
    others hang.
    """
    until = time.monotonic() + limits.of_call(len(pairs))
    asked = judge if question == "outcome" else read
    found = _tried(pool, asked, way, pairs, min(limits.quick, limits.timeout), until)
    late = [place for place, outcome in enumerate(found) if outcome == _LATE]
    again = _tried(pool, asked, way, [pairs[place] for place in late], limits.timeout, until)
    for place, outcome in zip(late, again, strict=True):
        found[place] = outcome
    failed = "failed" if question == "outcome" else None
    return [failed if outcome in (_LATE, _RAISED) else outcome for outcome in found]


def _tried(
    pool: ProcessPool,
    asked: Callable[[Way, str, str], str | None],
    way: Way,
    pairs: Sequence[Pair],
    timeout_s: float,
    until: float,
) -> list[str | None]:
    """Return what was asked for each pair, `_LATE` for one that took longer, `_RAISED` for one that failed."""
    futures = [pool.schedule(asked, (way, *pair), timeout=timeout_s) for pair in pairs]
    return [_outcome(future, until) for future in futures]


def _outcome(future: ProcessFuture[str | None], until: float) -> str | None:
    try:
        error = future.exception(max(0.0, until - time.monotonic()))
    except (TimeoutError, CancelledError):
        future.cancel()  # type: ignore[no-untyped-call]
        return _LATE
    if isinstance(error, TimeoutError):
        return _LATE
    return _RAISED if error is not None else future.result()


def read(way: Way, gold_text: str, completion: str) -> str | None:
    """Return what a completion answers, in this process."""
    if way == "reasoning_gym":
        return task_judge.final_answer(completion)
    if way == "choice":
        choice = choice_of(gold_text)
        return settled(completion, choice.options if choice else ())
    if way in ("math_verify", "lighteval"):
        return math_answers.read_answer(way, completion)
    return canonical(_tinas_answer(way, completion))


def judge(way: Way, gold_text: str, completion: str) -> Outcome:
    """Return the outcome of one comparison in this process; raises what math-verify raises.

    Gold first in `verify`, which is not symmetric; `math_verify_tina_swapped` has it last.
    """
    if way == "reasoning_gym":
        task_judge.warm()
        return task_judge.outcome(gold_text, completion)
    if way == "choice":
        return choice_outcome(gold_text, completion)
    if way in ("math_verify", "lighteval"):
        return math_answers.outcome(way, gold_text, completion)
    swapped = way == "math_verify_tina_swapped"
    as_gold = {"extraction_config": [LatexExtractionConfig()]} if swapped else {}
    gold = parse(gold_text, extraction_mode="first_match", parsing_timeout=None, **as_gold)
    if not gold:
        return "no gold"
    answer = _tinas_answer(way, completion)
    pair = (answer, gold) if swapped else (gold, answer)
    right = verify(*pair, timeout_seconds=None, raise_on_error=True)
    return "right" if right else "wrong"


def _tinas_answer(way: Way, completion: str) -> list[Any]:
    """Return what a completion answers as Tina's rewards read it."""
    found: list[Any] = parse(
        completion, [_BOXED[way]], extraction_mode="first_match", parsing_timeout=None
    )
    return found


def _boxed_first(boxed: object) -> LatexExtractionConfig:
    """Return the reading of Tina's rewards: `\\frac12` is not repaired, so it is no answer."""
    return LatexExtractionConfig(
        boxed_match_priority=0,
        try_extract_without_anchor=False,
        normalization_config=NormalizationConfig(
            basic_latex=True,
            units=True,
            malformed_operators=False,
            nits=False,
            boxed=boxed,
            equations=True,
        ),
    )


_BOXED: dict[Way, LatexExtractionConfig] = {
    "math_verify_tina": _boxed_first("all"),
    "math_verify_tina_swapped": _boxed_first(True),
}
"""How an answer is found in a completion. `boxed=True` is Tina's; math-verify takes it for no box to open."""


if __name__ == "__main__":
    main(int(sys.argv[1]), Limits(*map(float, sys.argv[2:])))
