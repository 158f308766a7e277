"""Lives of a worker as processes of their own: each line of the input forks one, as torch takes seconds to import.

python -m tests.trainer.jobs.worker_lives MONITOR_URL CUSP_DIR
"""

import os
import sys
import threading
from pathlib import Path

import peft  # noqa: F401  # imported once, before the forks
import torch

from trainer.evaluation.engines import transformers_engine  # noqa: F401
from trainer.jobs.client import MonitorClient
from trainer.training import model  # noqa: F401
from trainer.worker import Worker


def live(url: str, directory: Path) -> None:
    """Do one job, as `cusp worker` does it."""
    stopping = threading.Event()
    worker = Worker(MonitorClient(url, None, stopping), directory, stopping, lambda _: None, "test")
    worker.work(once=True)


def main() -> None:
    """Print the process id of each life, then its status once it has ended."""
    torch.set_num_threads(1)
    for _ in sys.stdin:
        if (child := os.fork()) == 0:
            live(sys.argv[1], Path(sys.argv[2]))
            os._exit(0)
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
