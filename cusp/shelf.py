"""The checkpoints of a run on this box: hashed, announced, held and pinned in the background."""

import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from cusp import checkpoints, held
from cusp.checkpoints import Manifest
from cusp.keeper import Keeper

log = logging.getLogger("cusp")

# A held checkpoint that has to go is announced as missing first and deleted this much later: a command
# to keep it may be on its way, from when it was not known to go.
GRACE_S = 30.0


class Shelf:
    """Registers and pins checkpoints below one root; `send` takes the messages that come of it.

    A failure (a file system without room, a path outside the root) is logged and never raised: it
    must not end a training.
    """

    def __init__(self, root: Path, send: Callable[[Mapping[str, object]], None]) -> None:
        self.root = root
        self._send = send
        self._known: dict[int, tuple[Manifest, Path]] = {}  # by step: what it is and where
        self._leaving: dict[int, float] = {}  # by step: since when
        self._holds = False
        self._keeper = Keeper()

    def hold(self) -> None:
        """From now on hold the weights of what is registered: the trainer deletes its checkpoints."""
        self._holds = True
        held.clear(self.root)

    def recall(self) -> None:
        """Remember the checkpoints that earlier attempts left, so that they can still be pinned."""
        for folder in (self.root / held.HELD, self.root / checkpoints.PINNED, self.root):
            for path in checkpoints.found_in(folder):
                manifest = checkpoints.read_manifest(path)
                self._known[manifest.step] = manifest, path

    def stand_on(self, before: int) -> None:
        """Announce the recalled checkpoints of earlier steps: `kill -9` may have come in between.

        Those held of later steps belong to a branch that is given up now.
        """
        self._keeper.submit(partial(self._announce_recalled, before, dict(self._known)))

    def register(self, path: Path, step: int) -> None:
        """Hash a saved checkpoint, write its manifest and announce it."""
        part = self._reserved(path, step) if self._holds else None
        self._keeper.submit(partial(self._register, path, step, part))

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
        """Let go of what was to be deleted, and end the background thread."""
        self._keeper.submit(partial(self._let_go, 0.0))
        self._keeper.close()

    def _reserved(self, path: Path, step: int) -> Path | None:
        """Link the weights at once, a millisecond: the next save may delete them already."""
        try:
            saved_over = checkpoints.step_of(path) != step  # would be written through the link
            return None if saved_over else held.reserve(path, self.root, step, copy=False)
        except OSError:
            return None  # no hard links here: copied in the background

    def _announce_recalled(
        self, before: int, recalled: Mapping[int, tuple[Manifest, Path]]
    ) -> None:
        for step, (manifest, path) in sorted(recalled.items()):
            if step < before and _is_there(path, step):
                self._announce(manifest, path, self._state(path))
            elif step >= before and path.parent.name == held.HELD:
                self._forget(step)

    def _register(self, path: Path, step: int, part: Path | None) -> None:
        manifest = None
        try:
            path.relative_to(
                self.root
            ).as_posix().encode()  # a name that is no text is refused here
            manifest = checkpoints.write_manifest(path, step)
            self._know(step, manifest, path, "present")
        except (ValueError, OSError) as error:
            if part is None:
                log.warning(
                    "Cusp could not register the checkpoint of step %s: %s (name the folder of the"
                    " checkpoints with init(root=...))",
                    step,
                    error,
                )
                return
        if self._holds:
            self._hold(path, step, part, manifest)
            self._keep_within_bounds()
            self._look_around()

    def _hold(self, path: Path, step: int, part: Path | None, manifest: Manifest | None) -> None:
        self._leaving.pop(step, None)
        try:
            part = part or held.reserve(path, self.root, step, copy=True)
            found, place = held.seal(part, step, manifest)
        except (ValueError, OSError) as error:
            log.warning("Cusp could not hold the checkpoint of step %s: %s", step, error)
            return
        if manifest is None:  # deleted before it was hashed
            self._know(step, found, place, "present")

    def _keep_within_bounds(self) -> None:
        """Announce as missing what is too much, and delete what was so for a while."""
        sizes = held.sizes(self.root)
        for step in held.surplus({k: v for k, v in sizes.items() if k not in self._leaving}):
            if step in self._known and self._known[step][1].parent.name == held.HELD:
                self._leaving[step] = time.monotonic()
                self._forget(step)
            else:
                held.drop(self.root, step)
        self._let_go(0.0 if sum(sizes.values()) > held.MOST_BYTES else GRACE_S)

    def _let_go(self, after_s: float) -> None:
        for step, since in list(self._leaving.items()):
            if time.monotonic() - since >= after_s:
                del self._leaving[step]
                held.drop(self.root, step)

    def _brought_back(self, step: int) -> None:
        """Know a checkpoint again that was about to be deleted."""
        place = held.place(self.root, step)
        if step in self._leaving and _is_there(place, step):
            del self._leaving[step]
            self._known[step] = checkpoints.read_manifest(place), place

    def _look_around(self) -> None:
        """Say where checkpoints are that the trainer has deleted: held, or nowhere any more."""
        for step, (_, path) in sorted(self._known.items()):
            if _is_there(path, step):
                continue
            place = held.place(self.root, step)
            if _is_there(place, step):
                self._know(step, checkpoints.read_manifest(place), place, "present")
            else:
                self._forget(step)

    def _forget(self, step: int) -> None:
        manifest, path = self._known.pop(step)
        if step not in self._leaving:
            held.drop(self.root, step)
        self._announce(manifest, path, "missing")

    def _pin(self, step: int) -> bool:
        why = "no checkpoint of it is here"
        for _ in range(2):  # the trainer may delete it just then; it is held still
            self._look_around()
            self._brought_back(step)
            if step not in self._known:
                break
            manifest, path = self._known[step]
            try:
                target = checkpoints.pin(path, self.root / checkpoints.PINNED)
                if checkpoints.step_of(path) != step:  # a folder that is saved over and over
                    checkpoints.unshare(path)
            except (ValueError, OSError) as error:
                why = str(error)
                continue
            self._know(step, manifest, target, "pinned")
            return True
        log.warning("Cusp could not keep the checkpoint of step %s: %s", step, why)
        return False

    def _know(self, step: int, manifest: Manifest, path: Path, state: str) -> None:
        self._known[step] = manifest, path
        self._announce(manifest, path, state)

    def _state(self, path: Path) -> str:
        return "pinned" if path.parent.name == checkpoints.PINNED else "present"

    def _announce(self, manifest: Manifest, path: Path, state: str) -> None:
        self._send(
            {
                "kind": "checkpoint",
                "checkpoint_id": manifest.checkpoint_id,
                "step": manifest.step,
                "path": path.relative_to(self.root).as_posix(),
                "sha256": manifest.sha256,
                "bytes": manifest.bytes,
                "state": state,
            }
        )


def _is_there(path: Path, step: int) -> bool:
    """Return whether the folder is whole and still holds that step."""
    return checkpoints.is_complete(path) and checkpoints.read_manifest(path).step == step
