"""A process of several ends without tearing its interpreter down, and loses nothing by it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from trainer.training.distributed import restorable_on_cpu

LATE_THREAD = """
import atexit, sys, threading, time
from trainer.training.distributed import exit_process
atexit.register(lambda: print("delivered"))
threading.Thread(target=time.sleep, args=(60,)).start()
print("trained")
sys.exit(exit_process(3))
"""


def end_of(world_size: int, timeout_s: float) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", LATE_THREAD],
        env={**os.environ, "WORLD_SIZE": str(world_size)},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def test_a_thread_that_is_late_cannot_hold_or_abort_one_process_of_several() -> None:
    ended = end_of(2, timeout_s=30)
    assert ended.returncode == 3
    assert ended.stdout.split() == ["trained", "delivered"]
    assert ended.stderr == ""


def test_a_single_process_ends_as_any_other() -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        end_of(1, timeout_s=5)


def test_what_several_processes_without_a_gpu_saved_can_be_restored(tmp_path: Path) -> None:
    torch.save({"step": torch.ones(3)}, tmp_path / "optimizer.pt")
    restorable_on_cpu()
    found = torch.load(tmp_path / "optimizer.pt", map_location=torch.device("cpu:0"))
    assert found["step"].tolist() == [1, 1, 1]
