"""A process that compares answers: a line of `[gold, completion]` pairs in, a line of 1, 0 or null out.

Null means that the gold could not be read, "failed" that the comparison raised, crashed or took too long.
It is done in forked processes that are killed then; math-verify's own timeouts, which would turn a slow
answer into a wrong one, are off. They are forked from here and not from a training, which has threads and
a GPU, and whose main module every started process would import.
"""

import json
import logging
import multiprocessing
import os
import signal
import sys
import threading
import warnings
from typing import IO

from math_verify import LatexExtractionConfig, parse, verify
from pebble import ProcessFuture, ProcessPool

from cusp.process import parent


def main(processes: int, timeout_s: float) -> None:
    """Answer until the input ends, which it does with the process at its other end."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what math-verify prints is no answer
    questions, sys.stdin = sys.stdin, None  # a child would close it, and wait for who reads it
    pool = ProcessPool(
        processes,
        initializer=_end_with,
        initargs=(os.getpid(),),
        context=multiprocessing.get_context("fork"),
    )
    for line in questions:
        futures = [pool.schedule(judge, pair, timeout=timeout_s) for pair in json.loads(line)]
        threading.Thread(target=_answer, args=(futures, answers), daemon=True).start()
    pool.stop()  # type: ignore[no-untyped-call]
    pool.join()


def _end_with(pool: int) -> None:
    """Let SIGTERM end this process within a long computation too, and so also the pool's end."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent.end_with_parent({parent.VARIABLE: str(pool)})


def _answer(futures: list[ProcessFuture[int | None]], answers: IO[str]) -> None:
    found = ["failed" if future.exception() else future.result() for future in futures]
    print(json.dumps(found), file=answers, flush=True)


def judge(gold_text: str, completion: str) -> int | None:
    """Gold first in `verify`: it is not symmetric. An exception is a failure: not decided."""
    gold = parse(gold_text, extraction_mode="first_match", parsing_timeout=None)
    if not gold:
        return None
    boxed_first = LatexExtractionConfig(boxed_match_priority=0, try_extract_without_anchor=False)
    answer = parse(completion, [boxed_first], extraction_mode="first_match", parsing_timeout=None)
    return int(bool(verify(gold, answer, timeout_seconds=None, raise_on_error=True)))


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
