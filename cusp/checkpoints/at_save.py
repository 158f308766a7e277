"""Detects that a checkpoint was saved over between its registration and its hashing.

Hashing is done in the background. Another training that saves into the same folder meanwhile would have
its weights recorded as this one's, so size and mtime of the files are noted at registration.
"""

from collections.abc import Mapping
from pathlib import Path

from cusp.checkpoints import manifest, rotation
from cusp.checkpoints.manifest import CheckpointError

Saved = Mapping[str, tuple[int, int]]


def stamps(path: Path) -> Saved:
    """Return size and mtime of the weights by file name, without the state files that other ranks write."""
    try:
        found = {str(file.relative_to(path)): file.stat() for file in manifest.files_of(path)}
    except OSError:
        return {}
    return {
        name: (each.st_size, each.st_mtime_ns)
        for name, each in found.items()
        if rotation.is_weights(name)
    }


def check(path: Path, saved: Saved) -> None:
    """Raise CheckpointError if a file was saved over since; a deleted file does not count."""
    now = stamps(path)
    for name in saved:
        if name in now and now[name] != saved[name]:
            raise CheckpointError(
                f"{path / name} was saved over before it was hashed, by another training in this folder or"
                " a save that had not ended; give each training an output folder of its own"
            )
