"""Checkpoint registry of a run: hashes, announces, holds and pins checkpoints in the background."""

import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cusp.checkpoints import at_save, copies, location, paths, pinning, rotation, safetensors_header
from cusp.checkpoints import manifest as manifest_checkpoints
from cusp.checkpoints.at_save import Saved
from cusp.checkpoints.location import State
from cusp.checkpoints.manifest import CheckpointError, Manifest, Stamp, UnreadableError
from cusp.checkpoints.room import Room
from cusp.process.background import BackgroundThread

log = logging.getLogger("cusp")

# Grace period between announcing the eviction of a held checkpoint and deleting it: a command to keep it
# may already be on its way.
GRACE_S = 30.0
# Checkpoints that the disk must have room for beside a copy for a verification: a trainer that rotates
# writes the next one before it deletes an older one.
ROOM_FOR_SAVES = 2
LONGEST_PATH = 1_000  # the monitor's limit

Send = Callable[[Mapping[str, object]], None]
Failures = dict[int, Exception]  # by step
TellOther = Callable[[Manifest, Path], None]


@dataclass(frozen=True)
class Record:
    """A registered checkpoint: manifest, path, and size and mtime of its files."""

    manifest: Manifest
    path: Path
    stamp: Stamp | None


@dataclass(frozen=True)
class LocalCheckpoint:
    """Step and absolute path of a checkpoint on this box."""

    step: int
    path: Path


class CheckpointRegistry:
    """Registers and pins checkpoints below one root; `send` receives the resulting messages.

    `tell` is called with a checkpoint of another run that was saved over here. A failure (full disk, a path
    outside the root) is logged and never raised: it must not end a training.
    """

    def __init__(
        self,
        root: Path,
        run_id: str,
        send: Send,
        tell: TellOther = lambda *_: None,
        budget: int | None = None,
    ) -> None:
        self.root = root
        self.room = Room(budget)
        self.run_id = run_id
        self.former: list[Path] = []  # roots of earlier attempts
        self.kept: dict[int, Path] = {}  # pinned path by step
        self._send = send
        self._tell = tell
        self._known: dict[str, Record] = {}  # by checkpoint id
        self._given_up: list[tuple[Manifest, Path]] = []
        self._leaving: dict[int, float] = {}  # monotonic time of eviction by step
        self._holds = False
        self._weights_missed = False
        self._making_room = False
        self._asked: set[int] = set()  # steps that this attempt itself asked to keep
        self._keeper = BackgroundThread("cusp-keeper")
        self._kept_in_order: dict[
            int, Path
        ] = {}  # by step, without those pinned for a verification
        self.saved_last: LocalCheckpoint | None = None

    def hold(self) -> None:
        """Hold the weights of every checkpoint registered from now on against the trainer's rotation."""
        self._holds = True
        rotation.clear(self._held)

    def recall(self) -> None:
        """Load the checkpoints that earlier attempts of the run left, so that they can be pinned."""
        self._keeper.submit(self._recall)

    def announce_existing(self, before: int) -> None:
        """Announce the recalled checkpoints of steps before `before`, hashed again.

        A `kill -9` may have prevented their announcement. Held ones of later steps belong to a branch that
        is abandoned now.
        """
        self._keeper.submit(partial(self._stand_on, before))

    def register(self, path: Path, step: int) -> None:
        """Hash a saved checkpoint, write its manifest and announce it."""
        saved = at_save.stamps(path)
        part = self._reserved(path, step) if self._holds else None
        self._keeper.submit(partial(self._register, path, step, part, saved))

    def pin(self, step: int) -> None:
        """Pin the checkpoint of a step for good and announce it."""
        self._asked.add(step)
        self._keeper.submit(partial(self._pin, step))

    def pin_last(self) -> None:
        """Pin the newest checkpoint if none was kept before, so that a stopped run keeps one."""
        self._keeper.submit(self._pin_last)

    def pin_all(self, steps: list[int], then: Callable[[Failures], None]) -> None:
        """Pin the checkpoints of these steps, then call `then` with the error by step that was not pinned."""
        failed: Failures = {}
        for step in steps:
            self._keeper.submit(partial(self._pin, step, failed))
        self._keeper.submit(partial(then, failed))

    def pin_for_now(self, steps: list[int], then: Callable[[Failures], None]) -> None:
        """Pin as `pin_all` does until a verification has its outcome; all other work goes before each.

        They do not count as kept last. NoRoomError where the disk would have no room for the next saves.
        """
        failed: Failures = {}
        for step in steps:
            self._keeper.submit(partial(self._pin, step, failed, for_now=True), later=True)
        self._keeper.submit(partial(then, failed), later=True)

    def release(self, steps: Callable[[], list[int]], then: Callable[[list[int]], None]) -> None:
        """Delete the pinned copies of these steps, then call `then` with the steps that stay pinned.

        `steps` is called once it is their turn: what is wanted by then is not among them. Those that this
        training itself asked to keep stay. What is left of each is announced: another copy
        as present, or that it is missing.
        """
        self._keeper.submit(
            lambda: then([step for step in steps() if not self._release(step)]), later=True
        )

    def settle(self, timeout_s: float) -> bool:
        """Wait for the queued work; return whether it was done within the time."""
        return self._keeper.settle(timeout_s)

    def save_refusal(self) -> str | None:
        """Return why the next save should be left out, None if there is room; for the training's thread."""
        why = self.room.refusal(self.root)
        if why is not None and not self._making_room:  # one for any number of refusals in a row
            self._making_room = True
            self._keeper.submit(self._make_room)
        return why

    def look_around(self) -> None:
        """Announce the checkpoints that were deleted or saved over since the last check."""
        self._keeper.submit(self._look_around)

    def close(self) -> None:
        """Delete the evicted checkpoints and end the background thread."""
        self._keeper.submit(partial(self._let_go, 0.0))
        self._keeper.close()

    @property
    def kept_last(self) -> LocalCheckpoint | None:
        """The checkpoint that was kept last and not let go, or None."""
        last = next(reversed(list(self._kept_in_order.items())), None)
        return LocalCheckpoint(*last) if last is not None else None

    @property
    def _roots(self) -> list[Path]:
        return [self.root, *(root for root in self.former if root != self.root)]

    @property
    def _held(self) -> Path:
        return rotation.folder(self.root, self.run_id)

    def _recall(self) -> None:
        for root in self.former:
            for path in paths.found_in(rotation.folder(root, self.run_id)):
                self._recall_one(path)
            for path in paths.found_in(root):
                self._recall_one(path)
        for path in paths.found_in(self._held) + paths.folders_in(self.root):
            self._recall_one(path)
        for root in (*self.former, self.root):
            for manifest, path in pinning.of_run(root, self.run_id):
                self._remember(manifest, path)

    def _recall_one(self, path: Path) -> None:
        manifest = manifest_checkpoints.last_registered(path)
        if manifest is None or not manifest_checkpoints.belongs(manifest, self.run_id):
            return
        if manifest_checkpoints.is_complete(path):
            self._remember(manifest, path)
        else:
            self._given_up.append((manifest, path))

    def _stand_on(self, before: int) -> None:
        for record in sorted(self._known.values(), key=lambda each: each.manifest.step):
            if record.path.parent == self._held and record.manifest.step >= before:
                self._forget(record, "missing")
            elif record.manifest.step >= before and self._is_left_behind(record):
                del self._known[record.manifest.checkpoint_id]
            elif record.manifest.step < before or not self._is_there(record):
                if self._is_whole(record):
                    self._announce(record.manifest, record.path, self._state(record.path))
                else:
                    self._lost(record.manifest, record.path)
        for manifest, path in self._given_up:
            if manifest.checkpoint_id not in self._known:
                self._lost(manifest, path)
        self._given_up.clear()

    def _is_left_behind(self, record: Record) -> bool:
        """Return whether it is of an abandoned branch in a former root, where no training saves over it."""
        return (
            not record.path.is_relative_to(self.root)
            and self._state(record.path) != "pinned"
            and self._is_there(record)
        )

    def _reserved(self, path: Path, step: int) -> Path | None:
        """Hard-link the weights at once (about 1 ms): the next save may already delete them."""
        try:
            saved_over = paths.step_of(path) != step  # the next save would write through the link
            return None if saved_over else rotation.reserve(path, self._held, step, copy=False)
        except OSError:
            return None  # no hard links here: copied in the background

    def _register(self, path: Path, step: int, part: Path | None, saved: Saved) -> None:
        manifest = None
        try:
            path = self._below_root(path)
            at_save.check(path, saved)
            copies.let_others_read(path)
            before = manifest_checkpoints.last_registered(path)
            try:
                manifest = manifest_checkpoints.write_manifest(path, step, run_id=self.run_id)
            finally:
                if before and before.checkpoint_id != (manifest and manifest.checkpoint_id):
                    self._lost(before, path)
            self._know(manifest, path, "present")
            self.saved_last = LocalCheckpoint(step, path)
            self._mind_weights(path)
        except (ValueError, OSError) as error:
            if part is None:
                log.warning("Cusp could not register the checkpoint of step %s: %s", step, error)
        if manifest is not None:
            self.room.saved(path)
        if self._holds and (manifest is not None or part is not None):
            self._hold(path, step, part, manifest, saved)
        if manifest is not None and at_save.saved_over(path, saved):
            # While it was hashed: its record's stamp is that of the other training's file.
            self._lost(manifest, path)
        self._make_room()
        self._look_around()

    def _make_room(self) -> None:
        """Evict what is over the bounds or the budget, and measure what is left.

        Also after a refused save, without which nothing would be measured again: what may go, and what people
        delete, changes meanwhile.
        """
        self._making_room = False
        own = self._measure()
        if self._holds:
            self._keep_within_bounds()
        else:
            self._keep_within_budget(own)
        self._measure()

    def _measure(self) -> dict[int, int]:
        return self.room.measure(self.root, self.run_id)

    def _below_root(self, path: Path) -> Path:
        """Return the folder below the root, whatever symbolic links lead to it."""
        try:
            below = path.resolve().relative_to(self.root.resolve())
        except ValueError:
            raise CheckpointError(
                f"{path} is not below {self.root} (name the folder of the checkpoints with"
                " init(root=...))"
            ) from None
        try:
            below.as_posix().encode()
        except UnicodeEncodeError:
            raise CheckpointError(f"{below.as_posix()!r} is no text; rename the folder") from None
        if len(below.as_posix()) > LONGEST_PATH:
            raise CheckpointError(
                f"{below.as_posix():.80}... is longer than {LONGEST_PATH} letters"
            )
        return self.root / below

    def _mind_weights(self, path: Path) -> None:
        if not self._weights_missed and (problem := safetensors_header.problem(path)):
            self._weights_missed = True  # logged once a run: every save will have the same problem
            log.warning(
                "Cusp registered %s, but it cannot be evaluated or served: %s", path, problem
            )

    def _hold(
        self, path: Path, step: int, part: Path | None, manifest: Manifest | None, saved: Saved
    ) -> None:
        self._leaving.pop(step, None)
        try:
            part = part or rotation.reserve(path, self._held, step, copy=True)
            found, place = rotation.seal(
                part, step, manifest, self.run_id, partial(at_save.check, saved=saved)
            )
        except (ValueError, OSError) as error:
            log.warning("Cusp could not hold the checkpoint of step %s: %s", step, error)
            return
        if manifest is None:  # deleted before it was hashed
            self._know(found, place, "present")
            self.saved_last = LocalCheckpoint(step, place)

    def _keep_within_bounds(self) -> None:
        """Announce evictions as missing, and delete those older than the grace period."""
        sizes = rotation.sizes(self._held)
        most_bytes = self.room.held_at_most(sum(sizes.values()), self.root)
        short = most_bytes < rotation.MOST_BYTES
        staying = {step: size for step, size in sizes.items() if step not in self._leaving}
        spared = () if short else rotation.needed(staying, self.room.since)
        for step in rotation.evictions(staying, most_bytes=most_bytes, spared=spared):
            place = rotation.place(self._held, step)
            shown = [record for record in self._known.values() if record.path == place]
            if shown:
                self._leaving[step] = time.monotonic()
                self._forget(shown[0], "missing")
            else:
                rotation.drop(self._held, step)
        self._let_go(0.0 if sum(sizes.values()) > most_bytes else GRACE_S)

    def _keep_within_budget(self, own: Mapping[int, int]) -> None:
        """Delete the trainer's own checkpoints that are missed least, where a budget was given.

        Only whole ones of this run; what is pinned has a place of its own.
        """
        for step in self.room.too_many(own):
            path = self.root / f"checkpoint-{step}"
            found = manifest_checkpoints.last_registered(path)
            if found is None or found.run_id != self.run_id or self._is_best(path):
                continue
            try:
                pinning.let_go(path)
            except OSError as error:
                log.warning("Cusp could not delete %s: %s", path, error)
                continue
            self._lost(found, path)

    def _is_best(self, path: Path) -> bool:
        """Return whether the trainer loads this checkpoint at its end (`load_best_model_at_end`)."""
        last = self.saved_last
        try:
            state = json.loads((last.path / "trainer_state.json").read_text()) if last else {}
            return Path(state.get("best_model_checkpoint") or "").name == path.name
        except (OSError, ValueError, AttributeError, TypeError):
            return False

    def _let_go(self, after_s: float) -> None:
        for step, since in list(self._leaving.items()):
            if time.monotonic() - since >= after_s:
                del self._leaving[step]
                rotation.drop(self._held, step)

    def _brought_back(self, step: int) -> None:
        """Cancel the eviction of a held checkpoint."""
        place = rotation.place(self._held, step)
        if step in self._leaving and manifest_checkpoints.is_complete(place):
            del self._leaving[step]
            self._remember(manifest_checkpoints.read_manifest(place), place)

    def _look_around(self) -> None:
        for record in sorted(self._known.values(), key=lambda each: each.manifest.step):
            if not self._is_there(record) and not self._is_whole(record):
                self._lost(record.manifest, record.path)

    def _is_there(self, record: Record) -> bool:
        """Return whether size and mtime of the files are as they were when they were hashed."""
        now = manifest_checkpoints.stamp(record.path, record.manifest)
        return now is not None and now == record.stamp

    def _is_whole(self, record: Record) -> bool:
        """Return whether the files still match their hashes, or cannot be read at the moment."""
        try:
            now = location.verified(record.path)
        except UnreadableError as error:
            log.warning(
                "Cusp cannot look at the checkpoint of step %s: %s", record.manifest.step, error
            )
            return True
        if now is None or now.sha256 != record.manifest.sha256:
            return False
        if self._known.get(record.manifest.checkpoint_id) == record:
            self._remember(record.manifest, record.path)
        return True

    def _lost(self, manifest: Manifest, path: Path) -> None:
        """Announce the new place of a checkpoint that is no longer at `path`, or that it is missing."""
        if manifest.run_id not in (None, self.run_id):
            self._tell(manifest, path)
            return
        found, place, state = location.other_copy(self._roots, self.run_id, manifest, path)
        if state in ("present", "pinned"):
            self._know(found, place, state)
        else:
            self._forget(Record(manifest, path, None), state)

    def _forget(self, record: Record, state: State) -> None:
        step = record.manifest.step
        self._known.pop(record.manifest.checkpoint_id, None)
        if record.path == rotation.place(self._held, step) and step not in self._leaving:
            rotation.drop(self._held, step)
        self._announce(record.manifest, record.path, state)

    def _pin(self, step: int, failed: Failures | None = None, *, for_now: bool = False) -> None:
        """Pin the checkpoint of a step; what fails is logged and added to `failed`."""
        why: Exception = CheckpointError("no checkpoint of it is here")
        done = False
        into = pinning.folder(self.root, self.run_id)
        for _ in range(2):  # the trainer may delete it meanwhile; the held copy remains
            self._look_around()
            self._brought_back(step)
            for record in [each for each in self._known.values() if each.manifest.step == step]:
                try:
                    target = pinning.pin(record.path, into, leave=ROOM_FOR_SAVES if for_now else 0)
                    if step in self._asked:
                        pinning.note_asked(target, step)
                except (ValueError, OSError) as error:
                    why = error
                    if not self._is_whole(record):
                        self._lost(record.manifest, record.path)
                    continue
                self._know(record.manifest, target, "pinned")
                if not for_now:
                    self._kept_in_order.pop(step, None)
                    self._kept_in_order[step] = target
                done = True
            if done:
                self._measure()
                return
        log.warning("Cusp could not keep the checkpoint of step %s: %s", step, why)
        if failed is not None:
            failed[step] = why

    def _release(self, step: int) -> bool:
        asked = any(pinning.is_asked(root, self.run_id, step) for root in self._roots)
        if asked or step in self._asked:
            return False
        for record in [each for each in self._known.values() if each.manifest.step == step]:
            left: Record | None = record
            while left is not None and self._state(left.path) == "pinned":  # one for each root
                try:
                    pinning.let_go(left.path)
                except OSError as error:
                    log.warning("Cusp could not delete %s: %s", left.path, error)
                    return False
                self._lost(left.manifest, left.path)
                left = self._known.get(record.manifest.checkpoint_id)
        self.kept.pop(step, None)
        self._kept_in_order.pop(step, None)
        self._measure()
        return True

    def _pin_last(self) -> None:
        if self.kept_last is None and self.saved_last is not None:
            self._asked.add(self.saved_last.step)
            self._pin(self.saved_last.step)

    def _know(self, manifest: Manifest, path: Path, state: State) -> None:
        self._remember(manifest, path)
        self._announce(manifest, path, state)

    def _remember(self, manifest: Manifest, path: Path) -> None:
        stamp = manifest_checkpoints.stamp(path, manifest)
        self._known[manifest.checkpoint_id] = Record(manifest, path, stamp)
        if self._state(path) == "pinned":
            self.kept[manifest.step] = path

    def _state(self, path: Path) -> State:
        kept = [pinning.folder(root, self.run_id) for root in self._roots]
        return "pinned" if path.parent in kept else "present"

    def _announce(self, manifest: Manifest, path: Path, state: State) -> None:
        self._send(location.message(self._roots, manifest, path, state))
