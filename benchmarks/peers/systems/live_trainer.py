"""Trainings that log by Cusp's own client: many at a steady pace, or one after the other until stopped.

    live_trainer.py paced --url URL --dir DIR --runs 50 --every 1.0 --out FILE
    live_trainer.py stopped --url URL --dir DIR --runs 20 --every 0.5 --out FILE

Prints each run's id. `paced` ends with its standard input and writes {run: [[step, logged at]]};
`stopped` loops over steps of `every` seconds until the run is told to stop, and writes
{run: [last step, ended at]}. Times are this machine's clock in seconds.
"""

import argparse
import heapq
import json
import os
import random
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import cusp

if TYPE_CHECKING:
    from benchmarks.peers.systems.workload import rows
else:  # run as a script: this package is not on its path
    from workload import rows

VALUES = rows(1_000)


def paced(given: argparse.Namespace) -> dict[str, list[tuple[int, float]]]:
    """Log a step of every run every so many seconds, evenly spread, until the input ends."""
    runs = [cusp.init(project="live", name=f"run {number}") for number in range(given.runs)]
    logged: dict[str, list[tuple[int, float]]] = {run.id: [] for run in runs}
    for run in runs:
        print(run.id, flush=True)
    ended = threading.Event()
    threading.Thread(target=_end_with_input, args=(ended,), daemon=True).start()
    began = time.monotonic()
    turns = [(began + given.every * n / len(runs), n, 1) for n in range(len(runs))]
    heapq.heapify(turns)
    while not ended.is_set():
        due, number, step = heapq.heappop(turns)
        if (wait := due - time.monotonic()) > 0:
            ended.wait(wait)
        run = runs[number]
        logged[run.id].append((step, time.time()))
        run.log(VALUES[step % len(VALUES)], step)
        heapq.heappush(turns, (due + given.every * random.uniform(0.8, 1.2), number, step + 1))
    for run in runs:
        run.finish()
    return logged


def _end_with_input(ended: threading.Event) -> None:
    sys.stdin.read()
    ended.set()


def stopped(given: argparse.Namespace) -> dict[str, tuple[int, float]]:
    """Run loops one after the other, each until it is told to stop."""
    found = {}
    for number in range(given.runs):
        run = cusp.init(project="live", name=f"to be stopped {number}")
        print(run.id, flush=True)
        step = 0
        while not run.should_stop():
            time.sleep(given.every)
            step += 1
            run.log(VALUES[step % len(VALUES)], step)
        found[run.id] = (step, time.time())
        run.finish()
    return found


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("paced", "stopped"))
    parser.add_argument("--url", required=True)
    parser.add_argument("--dir", required=True)
    parser.add_argument("--runs", type=int, required=True)
    parser.add_argument("--every", type=float, required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    os.environ.update(CUSP_URL=given.url, CUSP_DIR=given.dir)
    found = {"paced": paced, "stopped": stopped}[given.what](given)
    given.out.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
