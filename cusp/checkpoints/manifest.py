"""The manifest of a checkpoint directory: complete, hashed, bound to its run.

A checkpoint is complete when its `manifest.json` is there: it is written last, by rename, and holds
the sha256 of every other file (safetensors loads a flipped bit silently, a hash does not) and the run
it belongs to, as several runs may be trained into one folder.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cusp.checkpoints.copies import copy, sha256_of, sync
from cusp.errors import CuspError
from cusp.ids import new_id

MANIFEST = "manifest.json"
GIVEN_UP = ".manifest-given-up.json"  # of an abandoned branch: no longer a valid manifest
_FORMER = "former-roots"  # in a run's folder: paths separated by NUL, which no path can contain

Stamp = tuple[tuple[str, int, int], ...]


class CheckpointError(CuspError, ValueError):
    """A checkpoint directory is missing, incomplete, changed or outside its root."""


class UnreadableError(CheckpointError):
    """A file exists but cannot be read now, so its content is unknown."""


@dataclass(frozen=True)
class Manifest:
    """Content of a complete checkpoint. `sha256`, the hash of the manifest's bytes, identifies it.

    `run_id` is the run it belongs to; None in a manifest of an older version.
    """

    checkpoint_id: str
    step: int
    files: dict[str, str]
    bytes: int
    sha256: str
    run_id: str | None = None


def write_manifest(
    path: Path,
    step: int,
    checkpoint_id: str | None = None,
    known: Mapping[str, str] | None = None,
    run_id: str | None = None,
) -> Manifest:
    """Hash every file of the directory, write its manifest durably and return it.

    `known` are hashes already computed. A directory registered before with the same content keeps its
    manifest. CheckpointError when there is no file to hash, or when a file changes meanwhile.
    """
    known = known or {}
    names = sorted(name for name, _ in entries_of(path)) if path.is_dir() else []
    if not names:
        raise CheckpointError(f"{path} holds no files; a checkpoint must be saved first")
    before = _stamp(path, names)
    files = {name: known.get(name) or sha256_of(path / name) for name in names}
    if before is None or _stamp(path, names) != before:
        raise CheckpointError(f"{path} was saved over while it was hashed; save to a folder a step")
    if checkpoint_id is None and (same := _registered(path, step, files, run_id)):
        return same
    content = {
        "v": 1,
        "checkpoint_id": checkpoint_id or new_id(),
        "run_id": run_id,
        "step": step,
        "files": files,
        "bytes": sum(size for _, size, _ in before),
    }
    _store(path, json.dumps(content, indent=1, sort_keys=True))
    return read_manifest(path)


def _store(path: Path, text: str) -> None:
    """Write the manifest of a directory, whole or not at all, and have it on the disk."""
    temporary = path / f".{MANIFEST}.{os.getpid()}"
    try:
        temporary.write_text(text)
        sync(temporary)
        temporary.replace(path / MANIFEST)
    finally:
        temporary.unlink(missing_ok=True)
    (path / GIVEN_UP).unlink(missing_ok=True)
    sync(path)


def read_manifest(path: Path, name: str = MANIFEST) -> Manifest:
    """Return the manifest of a complete checkpoint without hashing its files."""
    try:
        raw = (path / name).read_bytes()
        content = json.loads(raw)
        run_id = content.get("run_id")
        return Manifest(
            checkpoint_id=str(content["checkpoint_id"]),
            step=int(content["step"]),
            files={_below(str(name)): str(digest) for name, digest in content["files"].items()},
            bytes=int(content["bytes"]),
            sha256=hashlib.sha256(raw).hexdigest(),
            run_id=None if run_id is None else str(run_id),
        )
    except FileNotFoundError:
        raise CheckpointError(f"{path} has no {name}: the checkpoint is incomplete") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path / name} cannot be read: {error!r}") from error


def last_registered(path: Path) -> Manifest | None:
    """Return the manifest last registered in this directory, abandoned or not; None if there was none."""
    for name in (MANIFEST, GIVEN_UP):
        try:
            return read_manifest(path, name)
        except CheckpointError:
            continue
    return None


def stamp(path: Path, manifest: Manifest) -> Stamp | None:
    """Return size and mtime of every file of a checkpoint, which change when it is saved over.

    None when a file is missing.
    """
    return _stamp(path, [*manifest.files, MANIFEST])


def verify(path: Path) -> Manifest:
    """Return the manifest after hashing every file against it; CheckpointError on any difference."""
    manifest = read_manifest(path)
    for name, digest in manifest.files.items():
        file = path / name
        if file.is_symlink() or not file.is_file():
            raise CheckpointError(f"{file} is missing from the checkpoint of step {manifest.step}")
        try:
            actual = sha256_of(file)
        except OSError as error:
            raise UnreadableError(f"{file} cannot be read: {error.strerror or error}") from error
        if actual != digest:
            raise CheckpointError(f"{file} has changed: sha256 is {actual}, not {digest}")
    return manifest


def unshare(path: Path) -> None:
    """Replace every hard-linked file of the directory by a copy with its own inode.

    A training that saves over the checkpoint opens the same files again and would otherwise write
    through the link into a held one.
    """
    for file in files_of(path):
        if file.stat().st_nlink > 1:
            part = file.with_name(f".{file.name}.{os.getpid()}")
            try:
                copy(file, part)
                part.replace(file)
            finally:
                part.unlink(missing_ok=True)


def abandon(path: Path) -> None:
    """Invalidate a checkpoint of an abandoned branch, which a resumed training will save over.

    Its manifest must not cover a half-written new checkpoint; its held copy keeps its own files.
    """
    if (path / MANIFEST).is_file():
        (path / MANIFEST).replace(path / GIVEN_UP)
    unshare(path)


def belongs(manifest: Manifest, run_id: str | None) -> bool:
    """Return whether the checkpoint is of that run; a manifest without a run id matches every run."""
    return run_id is None or manifest.run_id in (None, run_id)


def is_complete(path: Path) -> bool:
    """Return whether the directory has a readable manifest whose files are all there."""
    try:
        manifest = read_manifest(path)
    except CheckpointError:
        return False
    return all((path / name).is_file() for name in manifest.files)


def files_of(path: Path) -> list[Path]:
    """Return the files of a checkpoint, without manifest, hidden files and symbolic links."""
    return [path / name for name, _ in entries_of(path)] if path.is_dir() else []


def entries_of(
    folder: Path | str, wanted: Callable[[str], bool] = lambda name: True, before: str = ""
) -> Iterator[tuple[str, "os.DirEntry[str]"]]:
    """Yield (name below the checkpoint, entry) of those of the files whose name is `wanted`, and its folder's.

    A folder that may not be read is left out. OSError when there is none.
    """
    found: list[os.DirEntry[str]] = []
    with contextlib.suppress(PermissionError), os.scandir(folder) as entries:
        found = list(entries)
    for entry in found:
        name = before + entry.name
        if name == MANIFEST or not wanted(name):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from entries_of(entry.path, wanted, f"{name}/")
        elif entry.is_file(follow_symlinks=False) and not entry.name.startswith("."):
            yield name, entry


def _below(name: str) -> str:
    """Return a file name from a manifest; CheckpointError if it leads out of its directory."""
    if Path(name).is_absolute() or ".." in Path(name).parts or not Path(name).parts:
        raise CheckpointError(f"{name!r} is no file of the checkpoint")
    return name


def _registered(
    path: Path, step: int, files: Mapping[str, str], run_id: str | None
) -> Manifest | None:
    """Return the existing manifest if step, files and run are the same, or None."""
    try:
        found = read_manifest(path)
    except CheckpointError:
        return None
    same = (found.step, found.files, found.run_id) == (step, files, run_id)
    return found if same else None


def _stamp(path: Path, names: list[str]) -> Stamp | None:
    try:
        found = [(name, (path / name).stat()) for name in names]
    except OSError:
        return None
    return tuple((name, each.st_size, each.st_mtime_ns) for name, each in found)
