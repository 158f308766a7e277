"""`init()` starts an attempt of a run, under a file lock that excludes other trainings on this box."""

import dataclasses
import logging
import multiprocessing
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cusp import settings, terminal
from cusp.checkpoints import lineage, paths
from cusp.checkpoints.lineage import Lineage
from cusp.errors import CuspError
from cusp.ids import is_id, new_id
from cusp.process import file_lock, ranks
from cusp.process.machine import host_name, usable
from cusp.protocol.fields import first_problem
from cusp.protocol.run import Policy, RunMetadata, RunStart
from cusp.run import Run
from cusp.run_config import RECIPE_FILE, storable_config
from cusp.transport.announcement import announcement
from cusp.transport.attempt import refusal
from cusp.transport.sanitize import Mender
from cusp.user_options import OptionError, checked_policy

log = logging.getLogger("cusp")


class InitError(CuspError, ValueError):
    """An argument of `init` is invalid; the message names the value."""


class RunInUse(CuspError, ValueError):
    """Another live process on this box is training the run."""


def init(
    project: str | None = None,
    name: str | None = None,
    config: Mapping[str, Any] | None = None,
    *,
    run_id: str | None = None,
    policy: Policy | str | None = None,
    metadata: RunMetadata | None = None,
    root: str | os.PathLike[str] | None = None,
    tags: list[str] | None = None,
    must_own: bool = False,
    resumed: Lineage | None = None,
    rank: int | None = None,
    says_where: bool = True,
) -> Run:
    """Return a new attempt of a run (a new run unless `run_id` or CUSP_RUN_ID names one).

    `policy` is a `cusp.Policy`, or the action of a default one ("stop", "propose", "watch").
    `root` is the folder the checkpoints are saved below (default: the run's own folder). When another live
    process on this box trains the same run, RunInUse is raised if `must_own`; otherwise this training is
    recorded as a new run, so that nothing is lost or mixed. `resumed` is the lineage in the checkpoint that
    the training resumes. In a distributed training only `rank` 0 (default: the launcher's, or CUSP_RANK)
    records; the other ranks get a disabled run. `says_where`: the address of the run's page is printed on
    standard error (not with CUSP_SILENT=1).
    """
    given = settings.from_environment()
    asked = _checked(policy)
    if not _speaks(rank) or _is_imported_again():
        given = dataclasses.replace(given, mode="disabled")
    named = run_id or given.run_id
    mender, folder = Mender(), Path(root) if root else None
    # Without pydantic's warnings: an invalid value, set by `model_copy`, is repaired and logged later.
    fields: dict[str, Any] = {
        "project": project or given.project,
        "config": storable_config(config or {}),
        "policy": asked.model_dump(warnings=False),
        "host": host_name(),
        "tags": tags,
        "at": time.time(),
    }

    def start_of(run_id: str, after: str | None) -> RunStart:
        known = _completed(
            metadata or RunMetadata(),
            folder or paths.run_root(given.directory, run_id),
            given.gpu_hourly_usd,
        )
        return _start(
            mender,
            run_id=run_id,
            attempt_id=new_id(),
            name=name or given.run_name or f"run-{run_id[-6:].lower()}",
            metadata=known.model_dump(warnings=False),
            after=after,
            **fields,
        )

    run_id = named or (resumed.run_id if resumed else new_id())
    if not is_id(run_id):
        raise InitError(
            f"run id {run_id!r} is not a ULID of 26 characters; leave it out for a new run"
        )
    if given.mode == "disabled":
        return Run(start_of(run_id, None), given, root=folder, mender=mender)
    run_id, home_lock = _claimed(given.directory, run_id, must_own=must_own)
    goes_on = resumed if resumed is not None and resumed.run_id == run_id else None
    start = start_of(run_id, _before(given.directory, run_id, goes_on))
    if goes_on is not None and named is None and _is_refused(start, given):
        home_lock.close()
        run_id, home_lock = _claimed(given.directory, new_id(), must_own=must_own)
        start = start_of(run_id, None)
    run = Run(start, given, root=folder, home_lock=home_lock, mender=mender)
    if says_where and sys.stderr is not None:  # None: closed by the shell
        terminal.begun(run, sys.stderr)  # not among what the script prints for another program
    return run


def _checked(policy: Policy | str | None) -> Policy:
    try:
        return checked_policy(policy) or Policy()
    except OptionError as error:
        raise InitError(str(error)) from error


def _claimed(directory: Path, run_id: str, *, must_own: bool) -> tuple[str, file_lock.Lock]:
    """Return the run id to record under and its folder's lock; a new id if the run is in use."""
    lock = _claim(directory / "runs" / run_id)
    if lock is not None:
        return run_id, lock
    if must_own:
        raise RunInUse(_in_use(directory, run_id))
    log.warning("%s This training is recorded as a new run.", _in_use(directory, run_id))
    return _claimed(directory, new_id(), must_own=must_own)


def _before(directory: Path, run_id: str, goes_on: Lineage | None) -> str | None:
    """Return the predecessor of a new attempt: the last one on this box, or the checkpoint's."""
    newest = lineage.newest(directory / "runs" / run_id)
    return newest or (goes_on.attempt_id if goes_on else None)


def _is_refused(start: RunStart, given: settings.Settings) -> bool:
    """Return whether the monitor refuses a new attempt of the run; False if it cannot be reached."""
    if given.mode != "online":
        return False
    why = refusal(given.url, given.token, start.model_dump(mode="json"))
    if why is not None:
        log.warning(
            "The checkpoint is one of run %s, which takes no new attempt (%s). This training is recorded as a"
            " new run.",
            start.run_id,
            why,
        )
    return why is not None


def _speaks(rank: int | None) -> bool:
    """Return whether this process is the one of its training that records."""
    found = ranks.rank() if rank is None else ranks.Rank(rank, None)
    if found.number > 0 and found.is_guess:
        log.warning(
            "Cusp takes this process for number %s of one training (%s), so it records nothing; set"
            " CUSP_RANK=0 if it is a training of its own.",
            found.number,
            found.variable,
        )
    return found.number == 0


def _is_imported_again() -> bool:
    """Return whether this is a spawned child that is importing its parent's script.

    The workers of a pool or a DataLoader do that where children are spawned; they are not trainings.
    """
    importing = bool(getattr(multiprocessing.current_process(), "_inheriting", False))
    if importing:
        log.warning(
            "Cusp records nothing in process %s, which imports the script of its parent's training; put"
            " cusp.init() behind `if __name__ == '__main__':`",
            os.getpid(),
        )
    return importing


def _completed(metadata: RunMetadata, root: Path, price_usd: float | None) -> RunMetadata:
    """Return the metadata completed with the GPU price and whether a recipe is there for workers."""
    there = (root / RECIPE_FILE).is_file()
    known = {"gpu_hourly_usd": price_usd, "recipe": there, "evaluable": there}
    missing = {name: value for name, value in known.items() if getattr(metadata, name) is None}
    return metadata.model_copy(update=missing)


def _start(mender: Mender, **fields: Any) -> RunStart:
    try:
        return announcement(mender.say, **fields)
    except ValidationError as error:
        raise InitError(f"this run cannot be announced: {first_problem(error)}") from error


def _claim(home: Path) -> file_lock.Lock | None:
    return file_lock.take(usable(home) / "lock")


def _in_use(directory: Path, run_id: str) -> str:
    owner = file_lock.owner(directory / "runs" / run_id / "lock")
    return (
        f"Run {run_id} is being trained by process {owner} on this box;"
        " stop that one first, or leave the run id out to start a new run."
    )
