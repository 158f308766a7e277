"""What a training that begins does with the later checkpoints in its folder, before it saves over them."""

import logging
from pathlib import Path

from cusp import checkpoints

log = logging.getLogger("cusp")


def give_up(root: Path, run_id: str, after: int) -> None:
    """Prepare the checkpoints of later steps to be saved over by a training of this run.

    Those of the run itself are abandoned. Those of another run in the same folder stay what they are
    until they are saved over: only what is held of them is separated from the files there.
    """
    for path in checkpoints.found_in(root):
        if (checkpoints.step_of(path) or 0) <= after:
            continue
        try:
            mine = checkpoints.belongs(checkpoints.read_manifest(path), run_id)
            (checkpoints.abandon if mine else checkpoints.unshare)(path)
        except (OSError, ValueError) as error:  # found by its hash, should it be written through
            log.warning("Cusp could not set %s apart before it is saved over: %s", path, error)
