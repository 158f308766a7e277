"""What a training that begins does with the later checkpoints in its folder, before it saves over them."""

import json
import logging
from pathlib import Path

from cusp.checkpoints import lineage, manifest, paths

log = logging.getLogger("cusp")


def give_up(root: Path, run_id: str, after: int) -> None:
    """Prepare the checkpoints of later steps to be saved over by a training of this run.

    Those of the run itself are abandoned. Those of another run in the same folder stay what they are
    until they are saved over: only what is held of them is separated from the files there.
    """
    for path in paths.found_in(root):
        if (paths.step_of(path) or 0) <= after:
            continue
        try:
            mine = manifest.belongs(manifest.read_manifest(path), run_id)
            (manifest.abandon if mine else manifest.unshare)(path)
        except (OSError, ValueError) as error:  # found by its hash, should it be written through
            log.warning("Cusp could not set %s apart before it is saved over: %s", path, error)


def is_unregistered(path: Path, run_id: str) -> bool:
    """Return whether a checkpoint that a training goes on from is the run's and was never registered.

    Its process was killed between the save and that. The training's state in it names the run.
    """
    if manifest.is_complete(path):
        return False
    try:
        state = json.loads((path / "trainer_state.json").read_text(encoding="utf-8"))
        saved_by = lineage.recorded(state["stateful_callbacks"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False
    return saved_by is not None and saved_by.run_id == run_id
