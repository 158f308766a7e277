"""Complete, hashed checkpoint directories: the manifest and safe look-up.

A checkpoint is complete when its `manifest.json` is there: it is written last, by rename, and holds
the sha256 of every other file (safetensors loads a flipped bit silently, a hash does not) and the run
it belongs to, as several runs may be trained into one folder.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cusp.checkpoints.copies import copy, sha256_of, sync
from cusp.errors import CuspError
from cusp.ids import new_id

MANIFEST = "manifest.json"
GIVEN_UP = (
    ".manifest-given-up.json"  # of an abandoned branch: says what lay here, vouches for nothing
)
_FORMER = "former-roots"  # of a run's folder: separated by NUL, which no path holds

Stamp = tuple[tuple[str, int, int], ...]


class CheckpointError(CuspError, ValueError):
    """A checkpoint directory is missing, incomplete, changed or outside its root."""


class UnreadableError(CheckpointError):
    """A file is there and cannot be read now: nothing is known of what it holds."""


@dataclass(frozen=True)
class Manifest:
    """What a complete checkpoint holds. `sha256` identifies it: the hash of the manifest's bytes.

    `run_id` is the run whose checkpoint it is; None in one that an older version wrote.
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
    """Hash every file of the directory, then write its manifest durably, and return it.

    `known` are hashes that need not be taken again. Where the same checkpoint was registered before it
    stays what it is. CheckpointError when there is nothing to hash, or when the directory is saved over
    meanwhile.
    """
    known = known or {}
    names = sorted(str(file.relative_to(path)) for file in files_of(path))
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


def formerly(path: Path) -> Manifest | None:
    """Return what was registered in this directory last, whatever lies there now; None: nothing."""
    for name in (MANIFEST, GIVEN_UP):
        try:
            return read_manifest(path, name)
        except CheckpointError:
            continue
    return None


def stamp(path: Path, manifest: Manifest) -> Stamp | None:
    """Return size and time of every file of a checkpoint: equal as long as nobody saved over it.

    None when one of them is not there.
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
    """Give every hard-linked file of the directory an inode of its own.

    A training that saves over the checkpoints there opens the same files again; without this it would
    write through the link into what is held of another one.
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
    """Prepare a checkpoint of an abandoned branch to be saved over by a resumed training.

    Its manifest must not vouch for a half-written new one, and what is held of it keeps its own files.
    """
    if (path / MANIFEST).is_file():
        (path / MANIFEST).replace(path / GIVEN_UP)
    unshare(path)


def belongs(manifest: Manifest, run_id: str | None) -> bool:
    """Return whether the checkpoint is of that run; an older version's may be of any."""
    return run_id is None or manifest.run_id in (None, run_id)


def is_complete(path: Path) -> bool:
    """Return whether the directory has a readable manifest whose files are all there."""
    try:
        manifest = read_manifest(path)
    except CheckpointError:
        return False
    return all((path / name).is_file() for name in manifest.files)


def files_of(path: Path) -> list[Path]:
    """Return the files that belong to a checkpoint: no manifest, nothing hidden, no symbolic link."""
    return [
        file
        for file in path.rglob("*")
        if file.is_file() and not file.is_symlink() and not file.name.startswith(".")
        if file != path / MANIFEST
    ]


def _below(name: str) -> str:
    """Return a file's name in a manifest; CheckpointError for one that leads out of its directory."""
    if Path(name).is_absolute() or ".." in Path(name).parts or not Path(name).parts:
        raise CheckpointError(f"{name!r} is no file of the checkpoint")
    return name


def _registered(
    path: Path, step: int, files: Mapping[str, str], run_id: str | None
) -> Manifest | None:
    """Return the manifest that is there if it says the same, or None."""
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
