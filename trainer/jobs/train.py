"""Train job: resumes a run of this box from a verified checkpoint, in a child process.

The child is a new attempt, whose points supersede the old ones from its first step on. It ends with this
worker; the next worker to claim the job resumes from the newest checkpoint of the new branch.
"""

import re
import subprocess
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from cusp.checkpoints import manifest, paths
from cusp.errors import CuspError
from cusp.process import file_lock, interpreter, parent
from cusp.protocol.fields import Step
from trainer import launch
from trainer.jobs.client import Heartbeat, Job
from trainer.jobs.run_folder import local_recipe, lock_of, verified

Say = Callable[[str], None]
LOOK_EVERY_S = 0.2
GRACE_S = 10.0
STILL_THERE_S = 120.0
_STEP = re.compile(r"step (\d+) of (\d+): ")


class TrainOrder(BaseModel):
    """The payload of a train job. Without a step the latest intact checkpoint is used."""

    model_config = ConfigDict(frozen=True)
    step: Step | None
    path: str | None
    sha256: str | None
    processes: int = Field(ge=1, le=1024)


class TrainingFailed(CuspError, RuntimeError):
    """The training process failed; the message quotes the end of its log."""


def resume_training(directory: Path, job: Job, heartbeat: Heartbeat, say: Say) -> dict[str, Any]:
    """Resume the training, wait for its process and return the last step.

    Raises TrainingFailed, CheckpointError or RecipeError, and JobLost, after stopping the process, once
    another worker has the job.
    """
    order = TrainOrder.model_validate(job.payload)
    root = paths.run_root(directory, job.run_id)
    local_recipe(root)
    _wait_for_the_run(lock_of(directory, job.run_id), heartbeat)
    start = start_of(root, order, job.id, job.run_id)
    heartbeat.report(0, 0, f"going on from {start.name}" if start else "starting anew")
    arguments = ["--resume", "--run-id", job.run_id]
    arguments += ["--from", start.relative_to(root).as_posix()] if start else []
    log = directory / "logs" / job.run_id / f"train-{job.id}-{job.attempt}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*launcher(order.processes), *arguments],
            env=interpreter.environment(
                parent.bound_to_this_process(),
                launch.environment(order.processes, launch.visible_gpus()),
                {"CUSP_DIR": str(directory)},
            ),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    say(f"training run {job.run_id} as process {process.pid}, log in {log}")
    try:
        step = _follow(process, log, heartbeat)
    finally:
        _end(process)
    if process.returncode != 0:
        raise TrainingFailed(_last_words(process.returncode, log))
    return {"step": step}


def start_of(root: Path, order: TrainOrder, job_id: str, run_id: str | None = None) -> Path | None:
    """Return the verified checkpoint to resume from, or None to start at step 0.

    Later checkpoints of the old branch are abandoned, which a marker file records. If it exists already, an
    earlier claim of this job was interrupted, and later checkpoints are its own: the newest is used.
    CheckpointError when the requested checkpoint is missing, changed or another one.
    """
    if order.step is None or order.path is None:
        return paths.latest(root, run_id)
    mark = root / f".resumed-{job_id}"
    later = [path for path in paths.found_in(root) if _step(path) > order.step]
    if mark.exists() and later:
        return paths.latest(root, run_id)
    start = verified(root, order.path, order.sha256)
    for path in later:
        manifest.abandon(path)
    mark.touch()
    return start


def _step(path: Path) -> int:
    return paths.step_of(path) or 0


def launcher(processes: int) -> list[str]:
    """Return the command that starts a training on the run's number of processes."""
    if processes > 1 and (there := launch.visible_gpus()) < processes:
        raise TrainingFailed(
            f"the run was trained on {processes} GPUs and this box has {there}; a smaller batch would"
            " be another training, so take it up on a box like the first"
        )
    return launch.command(processes)


def _wait_for_the_run(lock: Path, heartbeat: Heartbeat) -> None:
    """Wait until no process here trains the run; one of a worker that lost this job will end soon."""
    until = time.monotonic() + STILL_THERE_S
    while file_lock.is_locked(lock):
        heartbeat.report(0, 0, f"waiting for process {file_lock.owner(lock)}, which trains the run")
        if time.monotonic() > until:
            raise TrainingFailed(
                f"process {file_lock.owner(lock)} on this box still trains the run; stop that one first"
            )
        time.sleep(LOOK_EVERY_S)


def _follow(process: "subprocess.Popen[bytes]", log: Path, heartbeat: Heartbeat) -> int | None:
    """Report progress from the log until the process ends; return the last step."""
    step: int | None = None
    with log.open(errors="replace") as lines:
        while True:
            ended = process.poll() is not None
            for line in lines:
                if told := _STEP.match(line):
                    step = int(told[1])
                    heartbeat.report(step, int(told[2]), "training")
            if ended:
                return step
            heartbeat.check()
            time.sleep(LOOK_EVERY_S)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Stop a live process: SIGTERM, then SIGKILL."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _last_words(status: int, log: Path, lines: int = 6) -> str:
    with log.open(errors="replace") as file:
        said = "\n".join(deque((line.rstrip() for line in file), lines))
    how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
    return f"the training {how}; its log {log} ends with:\n{said}"
