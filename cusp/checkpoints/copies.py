"""Durable file copies (fsync), hashed from the same bytes that are written."""

import contextlib
import hashlib
import os
import stat
from pathlib import Path

BLOCK = 1 << 20


def copy(source: Path, target: Path) -> str:
    """Copy a file to a new one, with its times, and return the sha256 of the bytes copied.

    Never a hard link: a trainer that saves over a file writes into the same inode. Raises OSError on a
    full disk and removes the partial copy.
    """
    digest = hashlib.sha256()
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with source.open("rb") as read, target.open("xb") as written:
            while block := read.read(BLOCK):
                digest.update(block)
                written.write(block)
            written.flush()
            os.fsync(written.fileno())
            times = os.fstat(read.fileno())
        os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))
    except OSError:
        target.unlink(missing_ok=True)
        raise
    return digest.hexdigest()


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def let_others_read(folder: Path) -> None:
    """Make the files of a folder as readable as the folder itself, which its maker's umask decided.

    safetensors writes its files with mode 0600 whatever the umask, so that a server in another container,
    under another user, could not read the weights.
    """
    readable = folder.stat().st_mode & 0o444
    for file in folder.rglob("*"):
        with contextlib.suppress(
            OSError
        ):  # another user's file, or a file system without permissions
            mode = stat.S_IMODE(file.lstat().st_mode)
            if stat.S_ISREG(file.lstat().st_mode) and mode & readable != readable:
                file.chmod(mode | readable)


def sync(path: Path) -> None:
    """Fsync a file or a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
