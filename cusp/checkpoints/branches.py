"""Checkpoints of an abandoned branch: later steps in the folder that a new training will save over."""

import json
import logging
from pathlib import Path

from cusp.checkpoints import lineage, manifest, paths

log = logging.getLogger("cusp")


def abandon_later(root: Path, run_id: str, after: int) -> None:
    """Prepare the checkpoints of steps later than `after` to be saved over by a training of this run.

    Those of the run itself are abandoned. Those of another run in the same folder stay valid until they
    are saved over: only their hard links in `held/` are separated from the files there.
    """
    for path in paths.found_in(root):
        if (paths.step_of(path) or 0) <= after:
            continue
        try:
            mine = manifest.belongs(manifest.read_manifest(path), run_id)
            (manifest.abandon if mine else manifest.unshare)(path)
        except (OSError, ValueError) as error:  # its hash reveals a shared file's overwriting
            log.warning("Cusp could not set %s apart before it is saved over: %s", path, error)


def is_unregistered(path: Path, run_id: str) -> bool:
    """Return whether a checkpoint to resume from is the run's own and was never registered.

    Its process was killed between the save and the registration. Its `trainer_state.json` names the run.
    """
    if manifest.is_complete(path):
        return False
    try:
        state = json.loads((path / "trainer_state.json").read_text(encoding="utf-8"))
        saved_by = lineage.recorded(state["stateful_callbacks"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False
    return saved_by is not None and saved_by.run_id == run_id
