"""Pinning: copies of the kept checkpoints, under a name that no later save uses.

`<root>/pinned/<run>/checkpoint-<step>-<16 digits of its hash>`. Trainers save over `checkpoint-<step>`
when a run is resumed or another run uses the same folder, and write into the same inodes (no rename), so
a hard link would change with them: a kept checkpoint shares no inode.
"""

import contextlib
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from cusp.checkpoints import disk, paths
from cusp.checkpoints import manifest as manifest_checkpoints
from cusp.checkpoints.copies import copy, sha256_of, sync
from cusp.checkpoints.manifest import MANIFEST, CheckpointError, Manifest
from cusp.errors import NO_ROOM

log = logging.getLogger("cusp")

PINNED = "pinned"
_READ = 0o444


class NoRoomError(CheckpointError):
    """The disk has not the room that is to be left beside a copy; the message names the sizes."""


def folder(root: Path, run_id: str) -> Path:
    """Return the folder of a run's kept checkpoints below its root."""
    return root / PINNED / run_id


def place(path: Path, into: Path) -> Path:
    """Return the path of a kept checkpoint below `into`, named by step and hash."""
    manifest = manifest_checkpoints.read_manifest(path)
    return into / f"checkpoint-{manifest.step}-{manifest.sha256[:16]}"


def pin(path: Path, into: Path, *, leave: int = 0) -> Path:
    """Copy and verify a complete checkpoint below `into` and return the copy's path; idempotent.

    Files and folders are fsynced and the manifest comes last, so a crash leaves either nothing or a
    complete copy. Raises CheckpointError when a file does not match the manifest, OSError when it
    cannot be written. On a full disk it falls back to hard links and logs a warning. With `leave`, NoRoomError
    unless there is room for the copy and that many more of its size.
    """
    target = place(path, into)
    if target == path or _is_whole(target):
        manifest_checkpoints.verify(target)
        return target
    if leave:
        _check_room(path, into, leave)
    part = into / f".{target.name}.{os.getpid()}"
    shutil.rmtree(part, ignore_errors=True)
    try:
        _fill(part, path)
        _put(part, target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    for made in (into, into.parent, into.parent.parent):
        sync(made)
    return target


def _check_room(path: Path, into: Path, leave: int) -> None:
    manifest = manifest_checkpoints.read_manifest(path)
    free, needed = disk.free(into), (1 + leave) * manifest.bytes
    if free is not None and free < needed:
        raise NoRoomError(
            f"the disk of {into} has {free / 2**30:.2f} GiB left, and a copy of the checkpoint of step"
            f" {manifest.step} beside the next saves takes {needed / 2**30:.2f} GiB: make room"
        )


def let_go(path: Path) -> None:
    """Delete a pinned copy. It is renamed first, so that a crash never leaves half of one under its name."""
    gone = path.with_name(f".{path.name}.gone.{os.getpid()}")
    path.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def note_asked(place: Path, step: int) -> None:
    """Note beside a kept checkpoint that the training itself asked to keep that step."""
    try:
        _asked_note(place.parent, step).touch()
    except OSError as error:
        log.warning("Cusp could not note that step %s is to stay: %s", step, error)


def is_asked(root: Path, run_id: str, step: int) -> bool:
    """Return whether an attempt of the run asked to keep this step below `root`."""
    return _asked_note(folder(root, run_id), step).exists()


def _asked_note(into: Path, step: int) -> Path:
    return into / f".asked-{step}"


def of_run(root: Path, run_id: str) -> list[tuple[Manifest, Path]]:
    """Return the manifests and paths of a run's kept checkpoints, by step."""
    found = paths.found_in(folder(root, run_id))
    return [(manifest_checkpoints.read_manifest(path), path) for path in found]


def _is_whole(target: Path) -> bool:
    try:
        manifest_checkpoints.verify(target)
    except CheckpointError:
        return False
    return True


def _fill(part: Path, path: Path) -> None:
    try:
        _copy_all(part, path, copy)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        shutil.rmtree(part, ignore_errors=True)
        _copy_all(part, path, _link)
        log.warning(
            "There is no room for a copy of %s (%s), so what is kept of it shares its files: make room,"
            " and let nothing be saved into that folder",
            path,
            error.strerror,
        )


def _copy_all(part: Path, path: Path, each: Callable[[Path, Path], str]) -> None:
    """Transfer every file with `each`; the hash of the copy decides, as the source may change meanwhile."""
    manifest = manifest_checkpoints.read_manifest(path)
    for name, digest in [*manifest.files.items(), (MANIFEST, manifest.sha256)]:
        if (path / name).is_symlink():
            raise CheckpointError(f"{path / name} is a symbolic link, which is never followed")
        if (actual := each(path / name, part / name)) != digest:
            raise CheckpointError(f"{path / name} has changed: sha256 is {actual}, not {digest}")
        if (part / name).stat().st_nlink == 1:  # a shared inode stays writable for the trainer
            with contextlib.suppress(OSError):  # a file system without permissions
                (part / name).chmod((part / name).stat().st_mode & _READ)
        sync((part / name).parent)
    sync(part)


def _link(source: Path, target: Path) -> str:
    target.parent.mkdir(parents=True, exist_ok=True)
    os.link(source, target)
    return sha256_of(target)


def _put(part: Path, target: Path) -> None:
    """Rename a complete copy to its final name; a broken one of that name is moved aside, never deleted."""
    try:
        part.rename(target)
    except OSError:
        if _is_whole(target):  # another process was faster
            return
        target.rename(target.with_name(f".{target.name}.broken.{os.getpid()}"))
        part.rename(target)
