"""Train job: a new training from a recipe, or a run of this box resumed from a verified checkpoint.

Both are child processes and attempts of their run. A resumed one's points supersede the old ones from its
first step on. It ends with this worker; the next worker to claim the job goes on from the newest checkpoint.
"""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from cusp.checkpoints import manifest, paths
from cusp.errors import CuspError
from cusp.process import file_lock
from cusp.protocol.fields import Step
from cusp.run_config import RECIPE_FILE
from trainer import launch
from trainer.jobs.asked_recipe import check_order
from trainer.jobs.client import Job
from trainer.jobs.held.beat import Heartbeat
from trainer.jobs.run_folder import local_recipe, lock_of, verified
from trainer.jobs.training_process import LOOK_EVERY_S, TrainingFailed, trained
from trainer.train import check

Say = Callable[[str], None]
STILL_THERE_S = float(launch.STEP_S)  # a training that ends may save after the step in flight
Processes = Annotated[int, Field(ge=1, le=1024)]


class TrainOrder(BaseModel):
    """The payload of a train job that resumes. Without a step the latest intact checkpoint is used."""

    model_config = ConfigDict(frozen=True)
    step: Step | None
    path: str | None
    sha256: str | None
    processes: Processes


class NewOrder(BaseModel):
    """The payload of a train job that begins a run: a shipped recipe by name, and `key=value` overrides.

    `processes` None means one for each visible GPU.
    """

    model_config = ConfigDict(frozen=True)
    recipe: str
    overrides: tuple[str, ...] = ()
    processes: Processes | None = None


def is_new(job: Job) -> bool:
    """Return whether the job begins a run."""
    return job.kind == "train" and "recipe" in job.payload


def new_training(directory: Path, job: Job, heartbeat: Heartbeat, say: Say) -> dict[str, Any]:
    """Train the recipe under the job's run id, wait for its process and return the last step.

    A job whose worker was lost goes on from the newest checkpoint. Raises RecipeError for what the recipe
    refuses, else as `resume_training` does.
    """
    order = NewOrder.model_validate(job.payload)
    check_order(order.recipe, order.overrides)
    root = paths.run_root(directory, job.run_id)
    root.mkdir(parents=True, exist_ok=True)  # from here on the job is this box's
    _wait_for_the_run(lock_of(directory, job.run_id), heartbeat)
    begun = (root / RECIPE_FILE).is_file()
    what = ["--resume"] if begun else [order.recipe, *order.overrides]
    arguments = [*what, "--run-id", job.run_id]
    try:
        processes = check(arguments, order.processes, launch.visible_gpus())
    except CuspError:
        with contextlib.suppress(OSError):  # it holds what an earlier worker made
            root.rmdir()
        raise
    heartbeat.report(0, 0, "going on" if begun else f"starting {order.recipe}")
    return {"step": trained(directory, job, processes, arguments, heartbeat, say)}


def resume_training(directory: Path, job: Job, heartbeat: Heartbeat, say: Say) -> dict[str, Any]:
    """Resume the training, wait for its process and return the last step.

    Raises TrainingFailed, CheckpointError or RecipeError, and JobLost, after stopping the process, once
    another worker has the job.
    """
    order = TrainOrder.model_validate(job.payload)
    root = paths.run_root(directory, job.run_id)
    own = local_recipe(root).run.processes  # also of a run without a GPU, which the monitor counts
    processes = own if isinstance(own, int) else order.processes
    there = launch.visible_gpus()
    if there < processes and (there > 0 or order.processes > 1):
        raise TrainingFailed(
            f"the run was trained on {processes} GPUs and this box has {there}; a smaller batch"
            " would be another training, so take it up on a box like the first"
        )
    _wait_for_the_run(lock_of(directory, job.run_id), heartbeat)
    start = start_of(root, order, job.id, job.run_id)
    heartbeat.report(0, 0, f"going on from {start.name}" if start else "starting anew")
    arguments = ["--resume", "--run-id", job.run_id]
    arguments += ["--from", start.relative_to(root).as_posix()] if start else []
    step = trained(directory, job, processes, arguments, heartbeat, say)
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
