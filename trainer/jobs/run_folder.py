"""Access of a worker to a run's folder on its box: the recipe, and verified checkpoints.

A path from the network is only a name below the run's root, which is set on this box alone.
"""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cusp.checkpoints import location, paths
from cusp.checkpoints import manifest as manifest_checkpoints
from cusp.checkpoints.location import Finding
from cusp.ids import is_id
from cusp.run_config import RECIPE_FILE
from trainer.jobs.client import JobLost, MonitorClient, MonitorRefused
from trainer.recipe import Recipe
from trainer.recipe_loader import RecipeError, load_recipe


def has_folder(directory: Path, run_id: str) -> bool:
    """Return whether this box has the run's folder."""
    return is_id(run_id) and (directory / "runs" / run_id).is_dir()


def lock_of(directory: Path, run_id: str) -> Path:
    """Return the lock that a process holds while it trains the run on this box."""
    return directory / "runs" / run_id / "lock"


def local_recipe(root: Path) -> Recipe:
    """Return the recipe in the run's folder; RecipeError when there is none."""
    file = root / RECIPE_FILE
    if not file.is_file():
        raise RecipeError(
            f"there is no {RECIPE_FILE} in {root}, so the base model and the task are not known;"
            " train with `cusp train`, or put a recipe there"
        )
    return load_recipe(file)


def look_at(
    directory: Path, run_id: str, registered: Mapping[str, Any], monitor: MonitorClient
) -> Finding | None:
    """Hash and pin a checkpoint on this box, and report the result to the monitor.

    None when the run is not of this box. On a full disk it is hashed in place.
    """
    try:
        found = location.look(directory, run_id, registered, keep=True)
    except OSError:
        found = location.look(directory, run_id, registered)
    if found is not None and found.sure:
        with contextlib.suppress(JobLost, MonitorRefused):  # re-registered meanwhile, or deleted
            monitor.report_check(str(registered["id"]), found.report)
    return found


def verified(root: Path, relative: str, sha256: str | None) -> Path:
    """Return the checkpoint's folder after hashing it.

    Raises CheckpointError when it is missing, changed or not the registered one.
    """
    path = paths.resolve(root, relative)
    manifest = manifest_checkpoints.verify(path)
    if manifest.sha256 != sha256:
        raise manifest_checkpoints.CheckpointError(
            f"{relative} is another checkpoint now than the one that was registered"
        )
    return path
