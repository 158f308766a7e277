"""A notebook's kernel: cells run one after another in one process, which outlives what they raise.

Run with a folder; what each cell leaves is told as a line of JSON.
"""

import code
import json
import os
import sys
import time
from pathlib import Path

import httpx

FIRST = """
import os, shutil, signal, sys
from pathlib import Path
from transformers import TrainerCallback
import cusp
from tests.e2e.plain_trl import Bench
folder = Path(sys.argv[1])
bench = Bench(folder / "cache")
class CtrlC(TrainerCallback):
    at = 5
    def on_step_end(self, args, state, control, **kw):
        if state.global_step == self.at:
            os.kill(os.getpid(), signal.SIGINT)
class OutOfMemory(TrainerCallback):
    def on_step_end(self, args, state, control, **kw):
        if state.global_step == 3:
            raise MemoryError("CUDA out of memory")
callback = cusp.CuspCallback(name="cell")
"""
CELLS = [
    ("ctrl-c", "bench.trainer(folder / 'out', [callback, CtrlC()]).train()"),
    ("again", "bench.trainer(folder / 'new', [callback], learning_rate=1e-2, max_steps=2).train()"),
    (
        "dies",
        "bench.trainer(folder / 'new', [cusp.CuspCallback(name='cell'), OutOfMemory()]).train()",
    ),
    (
        "resumed",
        "bench.trainer(folder / 'out', [cusp.CuspCallback(name='cell')]).train(resume_from_checkpoint=True)",
    ),
]


def told(cell: str) -> None:
    runs = httpx.get(os.environ["CUSP_URL"] + "/api/v1/runs", timeout=60).json()["runs"]
    keys = ("id", "status", "status_reason", "step", "attempt_count")
    print(
        json.dumps({"cell": cell, "runs": [{k: run[k] for k in keys} for run in runs]}), flush=True
    )


def main() -> None:
    console = code.InteractiveConsole()
    exec_cell(console, FIRST)
    for name, cell in CELLS:
        exec_cell(console, cell)
        time.sleep(1.0)
        told(name)


def exec_cell(console: code.InteractiveConsole, cell: str) -> None:
    console.runcode(compile(cell, "<cell>", "exec"))  # shows a traceback and goes on


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    main()
