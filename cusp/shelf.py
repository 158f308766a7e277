"""The checkpoints of a run on this box: hashed, announced and pinned in the background."""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from cusp import checkpoints
from cusp.keeper import Keeper

log = logging.getLogger("cusp")


class Shelf:
    """Registers and pins checkpoints below one root; `send` takes the messages that come of it.

    A failure (a file system without room, a path outside the root) is logged and never raised: it
    must not end a training.
    """

    def __init__(self, root: Path, send: Callable[[Mapping[str, object]], None]) -> None:
        self.root = root
        self._send = send
        self._known: dict[int, Path] = {}
        self._keeper = Keeper()

    def recall(self) -> None:
        """Remember the checkpoints that earlier attempts left, so that they can still be pinned."""
        for path in checkpoints.found_in(self.root):
            self._known[checkpoints.read_manifest(path).step] = path

    def stand_on(self, before: int) -> None:
        """Announce the recalled checkpoints of earlier steps: `kill -9` may have come in between."""
        self._keeper.submit(partial(self._announce_recalled, before, dict(self._known)))

    def register(self, path: Path, step: int) -> None:
        """Hash a saved checkpoint, write its manifest and announce it."""
        self._keeper.submit(partial(self._register, path, step))

    def pin(self, step: int) -> None:
        """Pin the checkpoint of a step and announce it."""
        self._keeper.submit(partial(self._pin, step))

    def pin_all(self, steps: list[int], then: Callable[[list[int]], None]) -> None:
        """Pin the checkpoints of these steps, then call with the steps that could not be pinned."""
        self._keeper.submit(lambda: then([step for step in steps if not self._pin(step)]))

    def settle(self, timeout_s: float) -> bool:
        """Wait until all of this is done; return whether it was in time."""
        return self._keeper.settle(timeout_s)

    def close(self) -> None:
        """End the background thread."""
        self._keeper.close()

    def _announce_recalled(self, before: int, recalled: Mapping[int, Path]) -> None:
        for step, path in sorted(recalled.items()):
            try:
                manifest = checkpoints.read_manifest(path) if step < before else None
            except checkpoints.CheckpointError as error:
                log.warning("Cusp left out the checkpoint of step %s: %s", step, error)
                continue
            if manifest is not None and manifest.step == step:
                self._announce(manifest, path.relative_to(self.root), "present")

    def _register(self, path: Path, step: int) -> None:
        try:
            relative = path.relative_to(self.root)
            manifest = checkpoints.write_manifest(path, step)
        except (ValueError, OSError) as error:
            log.warning(
                "Cusp could not register the checkpoint of step %s: %s (name the folder of the checkpoints"
                " with init(root=...))",
                step,
                error,
            )
            return
        self._known[step] = path
        self._announce(manifest, relative, "present")

    def _pin(self, step: int) -> bool:
        path = self._known.get(step)
        if path is None:
            log.warning("Cusp was told to keep step %s, but no checkpoint of it is here", step)
            return False
        try:
            manifest = checkpoints.read_manifest(path)
            if manifest.step != step:
                raise ValueError(f"{path} holds step {manifest.step} now")
            target = checkpoints.pin(path, self.root / checkpoints.PINNED)
            if checkpoints.step_of(path) != step:  # a folder that is saved over and over
                checkpoints.unshare(path)
        except (ValueError, OSError) as error:
            log.warning("Cusp could not pin the checkpoint of step %s: %s", step, error)
            return False
        self._announce(manifest, target.relative_to(self.root), "pinned")
        return True

    def _announce(self, manifest: checkpoints.Manifest, relative: Path, state: str) -> None:
        self._send(
            {
                "kind": "checkpoint",
                "checkpoint_id": manifest.checkpoint_id,
                "step": manifest.step,
                "path": relative.as_posix(),
                "sha256": manifest.sha256,
                "bytes": manifest.bytes,
                "state": state,
            }
        )
