"""Detects that a checkpoint was saved over between its registration and its hashing.

Hashing is done in the background. Another training that saves into the same folder meanwhile would have
its weights recorded as this one's, so size and mtime of the files are noted at registration. Two saves of one size
within a tick of the file system's clock (4 ms on Linux) are not told apart; to write an adapter takes longer.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from cusp.checkpoints import manifest, rotation
from cusp.checkpoints.manifest import CheckpointError

Saved = Mapping[str, tuple[int, int]]


def stamps(path: Path) -> Saved:
    """Return size and mtime of the weights by file name, without the state files that other ranks write.

    The files are those of `manifest.files_of`. The training waits for this at each save, so only the weights are
    looked at, each once.
    """
    try:
        return dict(_stamps(path, ""))
    except OSError:
        return {}


def _stamps(folder: Path | str, before: str) -> Iterator[tuple[str, tuple[int, int]]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            name = before + entry.name
            if not rotation.is_weights(name) or name == manifest.MANIFEST:
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _stamps(entry.path, f"{name}/")
            elif entry.is_file(follow_symlinks=False) and not entry.name.startswith("."):
                found = entry.stat(follow_symlinks=False)
                yield name, (found.st_size, found.st_mtime_ns)


def check(path: Path, saved: Saved) -> None:
    """Raise CheckpointError if a file was saved over since; a deleted file does not count."""
    if name := _saved_over(path, saved):
        raise CheckpointError(
            f"{path / name} was saved over before it was hashed, by another training in this folder or"
            " a save that had not ended; give each training an output folder of its own"
        )


def is_saved_over(path: Path, saved: Saved) -> bool:
    """Return whether a file was saved over since; a deleted file does not count."""
    return _saved_over(path, saved) is not None


def _saved_over(path: Path, saved: Saved) -> str | None:
    now = stamps(path)
    return next((name for name in saved if name in now and now[name] != saved[name]), None)
