"""`init()`: a new attempt of a run, under a lock that says who trains it on this box."""

import logging
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cusp import locks, settings
from cusp.announcing import announcement
from cusp.config import RECIPE_FILE, storable_config
from cusp.ids import is_id, new_id
from cusp.mending import Mender
from cusp.run import Run
from cusp.wire import Policy, RunMetadata, RunStart, first_problem

log = logging.getLogger("cusp")


class RunInUse(ValueError):
    """Another live process on this box is training the run."""


def init(
    project: str | None = None,
    name: str | None = None,
    config: Mapping[str, Any] | None = None,
    *,
    run_id: str | None = None,
    policy: Policy | None = None,
    metadata: RunMetadata | None = None,
    root: str | os.PathLike[str] | None = None,
    tags: list[str] | None = None,
    must_own: bool = False,
) -> Run:
    """Return a new attempt of a run (a new run unless `run_id` or CUSP_RUN_ID names one).

    `root` is the folder the checkpoints are saved below (default: the run's own folder). When
    another live process on this box trains the same run, RunInUse is raised if `must_own`;
    otherwise this training is recorded as a new run, so that nothing is lost or mixed.
    """
    given = settings.from_environment()
    run_id = run_id or given.run_id or new_id()
    if not is_id(run_id):
        raise ValueError(
            f"run id {run_id!r} is not a ULID of 26 characters; leave it out for a new run"
        )
    home_lock = None
    if given.mode != "disabled":
        home_lock = _claim(given.directory / "runs" / run_id)
        if home_lock is None and must_own:
            raise RunInUse(_in_use(given.directory, run_id))
        if home_lock is None:
            log.warning(
                "%s This training is recorded as a new run.", _in_use(given.directory, run_id)
            )
            run_id = new_id()
            home_lock = _claim(given.directory / "runs" / run_id)
    folder = Path(root) if root else given.directory / "runs" / run_id
    mender = Mender()
    start = _start(
        mender,
        run_id=run_id,
        attempt_id=new_id(),
        project=project or given.project,
        name=name or given.run_name or f"run-{run_id[-6:].lower()}",
        config=storable_config(config or {}),
        # Without pydantic's warnings: a wrong value, set by `model_copy`, is mended and said.
        policy=(policy or Policy()).model_dump(warnings=False),
        metadata=_completed(metadata or RunMetadata(), folder, given.gpu_hourly_usd).model_dump(
            warnings=False
        ),
        host=socket.gethostname()[:200] or None,
        tags=tags,
    )
    root_given = Path(root) if root else None
    return Run(start, given, root=root_given, home_lock=home_lock, mender=mender)


def _completed(metadata: RunMetadata, root: Path, price_usd: float | None) -> RunMetadata:
    """Return the metadata with what is known here: the price, and whether a worker has a recipe."""
    there = (root / RECIPE_FILE).is_file()
    known = {"gpu_hourly_usd": price_usd, "recipe": there, "evaluable": there}
    missing = {name: value for name, value in known.items() if getattr(metadata, name) is None}
    return metadata.model_copy(update=missing)


def _start(mender: Mender, **fields: Any) -> RunStart:
    try:
        return announcement(mender.say, **fields)
    except ValidationError as error:
        raise ValueError(f"this run cannot be announced: {first_problem(error)}") from error


def _claim(home: Path) -> int | None:
    home.mkdir(parents=True, exist_ok=True)
    return locks.take(home / "lock")


def _in_use(directory: Path, run_id: str) -> str:
    owner = locks.owner(directory / "runs" / run_id / "lock")
    return (
        f"Run {run_id} is being trained by process {owner} on this box;"
        " stop that one first, or leave the run id out to start a new run."
    )
