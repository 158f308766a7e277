"""The child process of a train job: started with the box's accelerators, followed by its log, ended in time."""

import re
import subprocess
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from cusp.errors import CuspError
from cusp.process import file_lock, interpreter, parent
from trainer import launch
from trainer.box import LOCKED_ABOVE, Box
from trainer.jobs.client import Job
from trainer.jobs.held.beat import Heartbeat
from trainer.jobs.run_folder import lock_of

Say = Callable[[str], None]
LOOK_EVERY_S = 0.2
GRACE_S = 10.0
# A worker that is asked to end leaves its training the time to save after the step in flight, within the
# stop_grace_period of docker-compose.yml.
LEAVING_S = launch.STEP_S - 30.0
_STEP = re.compile(r"step (\d+) of (\d+): ")
_ENDED = re.compile(r"the training ended at step (\d+)$")


class TrainingFailed(CuspError, RuntimeError):
    """The training process failed; the message quotes the end of its log."""


def trained(
    directory: Path,
    job: Job,
    processes: int,
    arguments: Sequence[str],
    heartbeat: Heartbeat,
    say: Say,
) -> int | None:
    """Train in a child process once the box is free; return the last step.

    Raises TrainingFailed, and JobLost, after ending the process, once another worker has the job or this
    one is stopping.
    """
    gpus = launch.visible_gpus()
    box = Box(directory, has_gpu=gpus > 0)
    doing = f"trains run {job.run_id}"
    held = box.wait(doing, lambda words: heartbeat.report(0, 0, words), job.run_id)
    log = directory / "logs" / job.run_id / f"train-{job.id}-{job.attempt}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with log.open("wb") as out:
            process = subprocess.Popen(
                [*launch.command(processes), *arguments],
                env=interpreter.environment(
                    parent.bound_to_this_process(),
                    launch.environment(processes, gpus),
                    {"CUSP_DIR": str(directory)},
                    LOCKED_ABOVE,
                ),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        say(f"training run {job.run_id} as process {process.pid}, log in {log}")
        try:
            step = _follow(process, log, heartbeat)
        finally:
            _end(process, LEAVING_S if heartbeat.leaving else GRACE_S)
            if process.returncode < 0:  # a killed launcher's processes save first
                _await_the_others(lock_of(directory, job.run_id), heartbeat)
    finally:
        held.close()
    if process.returncode != 0:
        raise TrainingFailed(_last_words(process.returncode, log))
    return step


def _follow(process: "subprocess.Popen[bytes]", log: Path, heartbeat: Heartbeat) -> int | None:
    """Report progress from the log until the process ends; return the last step."""
    step: int | None = None
    with log.open(errors="replace") as lines:
        while True:
            ended = process.poll() is not None
            for line in lines:
                heartbeat.lines.add(line.rstrip("\n"))
                if told := _STEP.match(line):
                    step = int(told[1])
                    heartbeat.report(step, int(told[2]), "training")
                elif ended_at := _ENDED.match(line):
                    step = int(ended_at[1])
            if ended:
                return step
            heartbeat.check()
            time.sleep(LOOK_EVERY_S)


def _end(process: "subprocess.Popen[bytes]", grace_s: float) -> None:
    """Stop a live process: SIGTERM, and SIGKILL after so many seconds."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(grace_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _await_the_others(lock: Path, heartbeat: Heartbeat) -> None:
    """Wait until no process trains the run, which has the accelerators until then; not in a worker that leaves."""
    until = time.monotonic() + launch.STEP_S
    while file_lock.is_locked(lock) and time.monotonic() < until and not heartbeat.leaving:
        time.sleep(LOOK_EVERY_S)


def _last_words(status: int, log: Path, lines: int = 6) -> str:
    with log.open(errors="replace") as file:
        said = "\n".join(deque((line.rstrip() for line in file), lines))
    how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
    return f"the training {how}; its log {log} ends with:\n{said}"
