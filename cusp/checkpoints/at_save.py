"""Detects that a checkpoint was saved over between its registration and its hashing.

Hashing is done in the background. Another training that saves into the same folder meanwhile would have
its weights recorded as this one's, so size and mtime of the files are noted at registration. Two saves of one size
within a tick of the file system's clock (4 ms on Linux) are not told apart; to write an adapter takes longer.
"""

from collections.abc import Mapping
from pathlib import Path

from cusp.checkpoints import manifest, rotation
from cusp.checkpoints.manifest import CheckpointError

Saved = Mapping[str, tuple[int, int]]


def stamps(path: Path) -> Saved:
    """Return size and mtime of the weights by file name, without the state files that other ranks write.

    The training waits for this at each save, so only the weights are looked at, each once.
    """
    try:
        found = [
            (name, each.stat()) for name, each in manifest.entries_of(path, rotation.is_weights)
        ]
    except OSError:
        return {}
    return {name: (each.st_size, each.st_mtime_ns) for name, each in found}


def check(path: Path, saved: Saved) -> None:
    """Raise CheckpointError if a file was saved over since."""
    if name := saved_over(path, saved):
        raise CheckpointError(
            f"{path / name} was saved over before it was hashed, by another training in this folder or"
            " a save that had not ended; give each training an output folder of its own"
        )


def saved_over(path: Path, saved: Saved) -> str | None:
    """Return the name of a file that was saved over since, None if none was; a deleted file does not count."""
    now = stamps(path)
    return next((name for name in saved if name in now and now[name] != saved[name]), None)
