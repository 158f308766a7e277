"""Whether a checkpoint's files are still those that were saved, before anything vouches for them.

Hashing is done in the background. Another training that saves into the same folder meanwhile would
have its weights recorded as this one's: size and time of the files are noted when they are registered.
"""

from collections.abc import Mapping
from pathlib import Path

from cusp.checkpoints import manifest, rotation
from cusp.checkpoints.manifest import CheckpointError

Saved = Mapping[str, tuple[int, int]]


def noted(path: Path) -> Saved:
    """Return size and time of the weights by name; those of a state that other ranks write are left out."""
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
    """Raise CheckpointError if one of the files has been saved over since; one that is gone has not."""
    now = noted(path)
    for name in saved:
        if name in now and now[name] != saved[name]:
            raise CheckpointError(
                f"{path / name} was saved over before it was hashed, by another training in this folder or"
                " a save that had not ended; give each training an output folder of its own"
            )
